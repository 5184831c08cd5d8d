import type { Push, Stop } from 'fastify-websock'
import type { KnownGame } from './known-games.ts'
import type { LeakyBucket } from './leaky-bucket.ts'
import { MAX_FRAME_BYTES } from './payloads.ts'
import type { RequestEvent, ToGame } from './protocol.ts'
import type { Session, Ws } from './session.ts'

/** The error of a request with an invalid payload, or without room for its players. */
export const TRY_AGAIN = 'an error occurred, try again'

/** After this time of work other sockets are served. */
const MS_PER_TURN = 2

interface Asked { readonly event: RequestEvent, readonly ref?: unknown }

/**
 * Answers a request if it has a `ref`, with any value, or if its game has `debug` on (section 2).
 */
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

/** The answer to a request over the limit, or undefined (section 10). */
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
 * Sends an answer about each other displayed game. Because there may be many, it lets other sockets
 * run in between, and waits for a slow reader.
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
