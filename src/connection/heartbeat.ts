export interface HeartbeatLimits {
  /** Silence before a ping, in ms. 0: no pings. */
  readonly heartbeatIntervalMs: number
  /** Time limit for any byte after the ping, in ms. 0: no limit. */
  readonly heartbeatTimeoutMs: number
  /** Maximum time without a data message, in ms. 0: no limit. */
  readonly idleTimeoutMs: number
}

export interface Monitored {
  readonly limits: HeartbeatLimits
  readonly liveness: Liveness
  readonly options: { readonly socket: CountingSocket }
  /** Complete data messages received so far. */
  readonly messagesRead: number
  /** This side has paused reading, so silence tells nothing about the peer. */
  readonly readingHeld: boolean
  /** A callback or a task is running, or the mailbox waits for the peer. */
  readonly busy: boolean
  /** The connection has begun to end: other time limits apply then. */
  readonly ending: boolean
  ping (): void
  timeOut (kind: 'dead' | 'idle'): void
}

/** A socket that counts its bytes. Other streams are not checked for silence. */
interface CountingSocket {
  readonly bytesRead?: number | undefined
  readonly bytesWritten?: number | undefined
  readonly writableLength: number
}

/** The last signs of life of a peer. Times in ms. */
export class Liveness {
  bytes = -1
  /** Bytes sent so far, while more wait to be sent. -1: none wait. */
  taken = -1
  messages = -1
  heardAt = 0
  messageAt = 0
  /** When the peer was last pinged. -1: not since its last sign of life. */
  pingedAt = -1
}

/**
 * Checks all connections with one timer. Returns a function that stops it.
 *
 * The check runs after the event loop has read from its sockets, not when the timer fires. So after
 * a stall of the event loop the bytes that arrived meanwhile are read first, and no peer is closed
 * because this process was busy.
 */
export function startHeartbeat (
  periodMs: number,
  connections: () => Iterable<Monitored>
): () => void {
  let due: NodeJS.Immediate | undefined
  const timer = setInterval(() => {
    // Whole ms, because V8 stores a fraction in an object of its own, two for each connection.
    // Rounded so that no silence is overestimated.
    const readAt = Math.floor(performance.now())
    due = setImmediate(() => checkConnections(readAt, Math.ceil(performance.now()), connections()))
  }, periodMs).unref()
  return () => {
    clearInterval(timer)
    clearImmediate(due)
  }
}

/**
 * Returns the period of the checks: a tenth of the shortest limit, from 5 ms to 1 s. Infinity when
 * no limit is set.
 */
export function heartbeatPeriodMs (limits: HeartbeatLimits): number {
  const shortest = Math.min(
    ...[limits.heartbeatIntervalMs, limits.heartbeatTimeoutMs, limits.idleTimeoutMs].filter(
      (ms) => ms > 0
    )
  )
  return shortest === Infinity ? Infinity : Math.max(5, Math.min(1000, Math.floor(shortest / 10)))
}

/**
 * Checks each connection once: pings silent peers, and ends dead and idle connections.
 *
 * `readAt`: all bytes that had arrived by then have been read. `now` may be later, when the event
 * loop was blocked in between. Both in ms of a monotonic clock.
 */
export function checkConnections (
  readAt: number,
  now: number,
  connections: Iterable<Monitored>
): void {
  for (const connection of connections) {
    if (connection.ending) continue
    if (!isIdle(connection, readAt, now)) checkLiveness(connection, readAt, now)
    else connection.timeOut('idle')
  }
}

function isIdle (
  { limits, liveness, messagesRead, readingHeld, busy }: Monitored,
  readAt: number,
  now: number
): boolean {
  if (readingHeld || busy || messagesRead !== liveness.messages) {
    liveness.messages = messagesRead
    liveness.messageAt = now
  }
  return limits.idleTimeoutMs > 0 && readAt - liveness.messageAt >= limits.idleTimeoutMs
}

function checkLiveness (connection: Monitored, readAt: number, now: number): void {
  const { limits, liveness, options: { socket }, readingHeld } = connection
  if (limits.heartbeatIntervalMs === 0 || socket.bytesRead === undefined) return
  if (showsLife(socket, liveness)) {
    liveness.heardAt = now
    liveness.pingedAt = -1
  } else if (liveness.pingedAt === -1) {
    if (readAt - liveness.heardAt >= limits.heartbeatIntervalMs) {
      liveness.pingedAt = now
      connection.ping()
    }
  } else if (readingHeld && liveness.taken === -1) {
    // Reading is paused, so the pong cannot arrive. TCP reports a lost peer. Ping again later, and
    // check the peer when reading resumes.
    liveness.heardAt = now
    liveness.pingedAt = -1
  } else if (
    limits.heartbeatTimeoutMs > 0 &&
    readAt - liveness.pingedAt >= limits.heartbeatTimeoutMs
  ) {
    connection.timeOut('dead')
  }
}

/** True when the peer has sent bytes, or TCP has sent some of the waiting ones. */
function showsLife (
  { bytesRead = 0, bytesWritten = 0, writableLength }: CountingSocket,
  liveness: Liveness
): boolean {
  const taken = writableLength === 0 ? -1 : bytesWritten - writableLength
  const alive = bytesRead !== liveness.bytes || (liveness.taken !== -1 && taken !== liveness.taken)
  liveness.bytes = bytesRead
  liveness.taken = taken
  return alive
}
