import type { Push, Stop } from 'fastify-websock'
import type { KnownGame } from './known-games.ts'
import type { LeakyBucket } from './leaky-bucket.ts'
import { MAX_FRAME_BYTES } from './payloads.ts'
import type { RequestEvent, ToGame } from './protocol.ts'
import type { Session, Ws } from './session.ts'

/** The error of a request whose payload is wrong, or that there is no room for. */
export const TRY_AGAIN = 'an error occurred, try again'

/** Other sockets are served after so much work. */
const MS_PER_TURN = 2

interface Asked { readonly event: RequestEvent, readonly ref?: unknown }

/** Section 2: answers a request that has a `ref`, whatever it is, or whose game debugs. */
export function confirm (request: Asked, session: Session, ws: Ws): Push<Session> {
  return answer({ event: request.event, status: 'success' }, request, session, ws)
}

export function fail (error: string, request: Asked, session: Session, ws: Ws): Push<Session> {
  return answer({ event: request.event, status: 'failure', error }, request, session, ws)
}

function answer (message: ToGame, request: Asked, { network, debugUntilMs }: Session, ws: Ws) {
  if ('ref' in request) return ws.push({ ...message, ref: request.ref })
  return ws.push(network.now() < debugUntilMs ? [message] : [])
}

/** Section 10: the answer to a request over the limit; undefined: it is within. */
export function overLimit (
  limit: LeakyBucket,
  request: Asked,
  session: Session,
  ws: Ws
): Push<Session> | Stop<Session> | undefined {
  switch (limit.take(session.network.now())) {
    case 'fits': return undefined
    case 'full': return fail('rate limit exceeded', request, session, ws)
    case 'abuse': return goodbye(ws, 'disconnected due to rate limit abuse')
  }
}

/** The last message to a client: close code 4000. */
export function goodbye (ws: Ws, error: string): Stop<Session> {
  const message = { event: 'authenticate', status: 'failure', error } as const
  return ws.stop('normal', [4000, 'goodbye'], message)
}

/**
 * Sends an answer about each other game that shows itself. Those are many frames: other sockets
 * are served in between, and a slow reader is waited for.
 */
export async function answerForEach (
  { network, game }: Session,
  ws: Ws,
  answerFor: (other: KnownGame) => ToGame | undefined
): Promise<void> {
  let turnEndsAt = 0
  for (const other of network.games) {
    if (performance.now() >= turnEndsAt) {
      await network.nextTurn()
      turnEndsAt = performance.now() + MS_PER_TURN
    }
    const message = other === game || other.display === false ? undefined : answerFor(other)
    if (message === undefined) continue
    if (ws.bufferedBytes > MAX_FRAME_BYTES && !await ws.drained()) return
    if (!ws.send(message)) return
  }
}
