import type { AnswerTo, Event, Request, ToGame } from './messages.ts'
import type { Network } from './network.ts'
import type { Session } from './session.ts'

/** What goes to one client, and whether that was all: the close code. */
export interface Reply {
  readonly messages: readonly ToGame[]
  readonly close?: 4000 | 4001
}

/**
 * What a request comes to: nothing, which is a confirmation; some answers, or none at all; or the
 * end.
 */
export type Outcome<E extends Event> = ReadonlyArray<AnswerTo<E>> | typeof GOODBYE | undefined

/** One family of events: what each does, and what its answers are. */
export type Family<E extends Event> = {
  readonly [K in E]: (request: Request<K>, session: Session, network: Network) => Outcome<K>
}

export const SILENCE = [] as const
/** Of a client that was over a limit too often. */
export const GOODBYE = Symbol('goodbye')
export const WRONG_PAYLOAD = 'an error occurred, try again'

export const SILENT: Reply = { messages: [] }
export const UNKNOWN: Reply = { messages: [{ status: 'unknown' }] }
export const UNAUTHENTICATED: Reply = {
  messages: [{ status: 'failure', error: 'unauthenticated' }]
}

/** `return failure('unknown game')` */
export function failure (error: string): [{ status: 'failure', error: string }] {
  return [{ status: 'failure', error }]
}

/**
 * Puts an outcome into the envelope of section 2: the event, and the ref as it came. Without a ref
 * nothing is answered, unless the game debugs.
 */
export function answer (
  event: Event,
  request: object,
  outcome: Outcome<Event>,
  debugs: boolean
): Reply {
  if (outcome === GOODBYE) {
    return {
      messages: [
        { event: 'authenticate', status: 'failure', error: 'disconnected due to rate limit abuse' }
      ],
      close: 4000
    }
  }
  const hasRef = 'ref' in request
  if (!hasRef && !debugs) return SILENT
  const envelope = hasRef ? { event, ref: request.ref } : { event }
  // The event and its answers belong together by the type of Family.
  return {
    messages: (outcome ?? [{ status: 'success' }]).map((one) => ({ ...envelope, ...one }) as ToGame)
  }
}
