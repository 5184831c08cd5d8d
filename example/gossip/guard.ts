// Sections 2, 3 and 10: the frames that are answered without a handler.
import type { InvalidMessage, Push, Stop } from 'fastify-websock'
import { fail, TRY_AGAIN } from './answer.ts'
import { isRequest, type ToGame } from './protocol.ts'
import type { Session, Ws } from './session.ts'

/** The nesting of lists and objects. JSON.parse accepts any depth, JSON.stringify does not. */
const MAX_REF_DEPTH = 64

const UNKNOWN: ToGame = { status: 'unknown' }
const UNAUTHENTICATED: ToGame = { status: 'failure', error: 'unauthenticated' }
const TOO_MANY: ToGame = { status: 'failure', error: 'rate limit exceeded' }
const FAR_TOO_MANY: ToGame = { status: 'failure', error: 'rate limit exceeded, goodbye' }

/**
 * Called for each decodable frame. Returns the answer, or undefined when the handler may be called.
 */
export function guard (
  message: unknown,
  session: Session,
  ws: Ws
): Push<Session> | Stop<Session> | undefined {
  const level = session.limits.frames.take(session.network.now())
  if (level === 'abuse') return ws.stop('normal', [4000, 'goodbye'], FAR_TOO_MANY)
  if (level === 'full') return ws.push(TOO_MANY)
  const { event, ref } = (message ?? {}) as { event?: unknown, ref?: unknown }
  if (!isShallow(ref, MAX_REF_DEPTH)) return ws.push(UNKNOWN)
  if (!session.isAuthenticated) {
    return event === 'authenticate' ? undefined : ws.push(UNAUTHENTICATED)
  }
  if (event === 'authenticate' || !isRequest(message)) return ws.push(UNKNOWN)
  const [flag = '', name] = message.event.split('/')
  if (name !== undefined && !session.supports.has(flag)) {
    return fail(`missing support for "${flag}"`, message, session, ws)
  }
}

/** Answers a frame that is not JSON or does not match the schema. */
export function handleInvalid (
  { kind, message }: InvalidMessage,
  session: Session,
  ws: Ws
): Push<Session> | Stop<Session> | undefined {
  if (kind !== 'mismatch') return ws.push(UNKNOWN)
  const refused = guard(message, session, ws)
  // A frame that passes the guard has an event.
  if (refused !== undefined || !isRequest(message)) return refused
  const { event } = message
  if (event === 'heartbeat') {
    // An invalid heartbeat counts as a heartbeat, but does not change the players.
    session.unanswered = 0
    session.network.see(session)
  } else if (event === 'authenticate' && 'payload' in message && !('ref' in message)) {
    return ws.push({ event, status: 'failure', error: TRY_AGAIN })
  } else {
    return fail(event === 'tells/send' ? 'invalid payload' : TRY_AGAIN, message, session, ws)
  }
}

function isShallow (json: unknown, levels: number): boolean {
  return typeof json !== 'object' || json === null ||
    (levels > 0 && Object.values(json).every((value) => isShallow(value, levels - 1)))
}
