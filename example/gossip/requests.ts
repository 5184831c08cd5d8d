// Sections 2 and 3: which frames are taken, and how each is answered.
import type { InvalidMessage } from 'fastify-websock'
import { achievements } from './achievements.ts'
import {
  answer,
  failure,
  SILENT,
  UNAUTHENTICATED,
  UNKNOWN,
  WRONG_PAYLOAD,
  type Family,
  type Outcome,
  type Reply
} from './answer.ts'
import { channels } from './channels.ts'
import { games } from './games.ts'
import { authenticate, handleHeartbeat } from './life.ts'
import type { Event, FromGame } from './messages.ts'
import type { Network } from './network.ts'
import { players } from './players.ts'
import type { Session, Socket } from './session.ts'
import { INVALID_TELL, tells } from './tells.ts'

/** Of lists and objects in each other. */
const MAX_REF_DEPTH = 64

type RequestEvent = Exclude<Event, 'authenticate' | 'heartbeat'>

const requests: Family<RequestEvent> = {
  ...channels,
  ...players,
  ...tells,
  ...games,
  ...achievements
}

/** A message that is one of the protocol's. */
export function receive (message: FromGame, socket: Socket, network: Network): Reply {
  const over = overflow(socket, network)
  if (over !== undefined) return over
  if (!isEchoable(message)) return UNKNOWN
  if (message.event === 'authenticate') return authenticate(message, socket, network)
  const { session } = socket
  if (session === undefined) return UNAUTHENTICATED
  if (message.event === 'heartbeat') {
    handleHeartbeat(message.payload?.players ?? [], session, network)
    return SILENT
  }
  return request(message, message.event, session, network, () =>
    // Each function takes the messages of its own event: Family says so.
    requests[message.event as RequestEvent](message as never, session, network))
}

/** A frame that is none: the server answers, and goes on. */
export function refuse (
  { kind, message }: InvalidMessage,
  socket: Socket,
  network: Network
): Reply {
  if (kind !== 'mismatch') return UNKNOWN
  const over = overflow(socket, network)
  if (over !== undefined) return over
  if (!isEchoable(message)) return UNKNOWN
  const { event, payload } = (message ?? {}) as { event?: unknown, payload?: unknown }
  const { session } = socket
  if (session === undefined) {
    if (event !== 'authenticate') return UNAUTHENTICATED
    return answer(event, message as object, failure(WRONG_PAYLOAD), payload !== undefined)
  }
  if (event === 'heartbeat') {
    handleHeartbeat(undefined, session, network)
    return SILENT
  }
  if (!isRequest(event)) return UNKNOWN
  return request(message as object, event, session, network, () =>
    failure(event === 'tells/send' ? INVALID_TELL : WRONG_PAYLOAD)
  )
}

/** Answers a request of an authenticated game, if it has the flag for it. */
function request (
  message: object,
  event: RequestEvent,
  session: Session,
  network: Network,
  carryOut: () => Outcome<Event>
): Reply {
  const [flag = ''] = event.split('/')
  const outcome = session.supports.has(flag) ? carryOut() : failure(`missing support for "${flag}"`)
  return answer(event, message, outcome, network.now() < session.debugUntilMs)
}

/** Whether its ref can be written again: JSON of any depth can be read, but not written. */
function isEchoable (message: unknown): boolean {
  return isShallow((message as { ref?: unknown } | null)?.ref, MAX_REF_DEPTH)
}

function isShallow (json: unknown, levels: number): boolean {
  return (
    typeof json !== 'object' ||
    json === null ||
    (levels > 0 && Object.values(json).every((value) => isShallow(value, levels - 1)))
  )
}

function isRequest (event: unknown): event is RequestEvent {
  return typeof event === 'string' && Object.hasOwn(requests, event)
}

function overflow ({ frames }: Socket, network: Network): Reply | undefined {
  switch (frames.take(network.now())) {
    case 'fits': return undefined
    case 'full': return { messages: [{ status: 'failure', error: 'rate limit exceeded' }] }
    case 'abuse':
      return {
        messages: [{ status: 'failure', error: 'rate limit exceeded, goodbye' }],
        close: 4000
      }
  }
}
