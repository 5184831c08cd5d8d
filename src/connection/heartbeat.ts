export interface HeartbeatLimits {
  /** Silence before a ping, in ms; 0: never. */
  readonly heartbeatIntervalMs: number
  /** Wait for any byte after the ping, in ms; 0: for ever. */
  readonly heartbeatTimeoutMs: number
  /** No data message for this long, in ms; 0: never mind. */
  readonly idleTimeoutMs: number
}

export interface Monitored {
  readonly limits: HeartbeatLimits
  readonly liveness: Liveness
  readonly options: { readonly socket: CountingSocket }
  /** Whole data messages so far. */
  readonly messagesRead: number
  /** We have stopped reading ourselves: silence says nothing about the peer. */
  readonly readingHeld: boolean
  /** A callback is running. */
  readonly busy: boolean
  /** It has its own time limits then. */
  readonly ending: boolean
  ping (): void
  timeOut (kind: 'dead' | 'idle'): void
}

/** A socket that tells how many bytes it has read and written. Without that nothing is judged. */
interface CountingSocket {
  readonly bytesRead?: number | undefined
  readonly bytesWritten?: number | undefined
  readonly writableLength: number
}

/** What was last heard of one peer, and asked. */
export class Liveness {
  bytes = -1
  /** Bytes that the peer has taken off us, while others wait for it. -1: none wait. */
  taken = -1
  messages = -1
  heardAt = 0
  messageAt = 0
  /** -1: nothing was asked since it was heard last. */
  pingedAt = -1
}

/**
 * Watches all connections with one timer; returns the way to stop.
 *
 * It looks when the event loop has read what there is, not when the timer fires: after a stall,
 * however long, the bytes that came meanwhile are read first, and no peer is judged by a silence
 * that was ours, nor by one that nobody has looked at.
 */
export function startHeartbeat (
  periodMs: number,
  connections: () => Iterable<Monitored>
): () => void {
  let due: NodeJS.Immediate | undefined
  const timer = setInterval(() => {
    // Whole ms, because V8 keeps a fraction in an object of its own, two for each connection;
    // rounded so that no silence is longer than it was.
    const readAt = Math.floor(performance.now())
    due = setImmediate(() => checkConnections(readAt, Math.ceil(performance.now()), connections()))
  }, periodMs).unref()
  return () => {
    clearInterval(timer)
    clearImmediate(due)
  }
}

/**
 * How often to look, so that a limit is overstepped by a tenth of itself at most: 5 ms to 1 s.
 * Infinity: never.
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
 * Looks at each connection once: pings the silent, ends the dead and the idle.
 *
 * `readAt`: what had come by then is read, so a silence is known to have lasted until then only;
 * `now` may be later, if somebody kept the event loop meanwhile. Both in ms, of a monotonic clock.
 */
export function checkConnections (readAt: number, now: number, connections: Iterable<Monitored>): void {
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
    // It cannot be heard, but TCP says when nobody is there to write to. Ask again, and judge by
    // what comes when we listen.
    liveness.heardAt = now
    liveness.pingedAt = -1
  } else if (
    limits.heartbeatTimeoutMs > 0 &&
    readAt - liveness.pingedAt >= limits.heartbeatTimeoutMs
  ) {
    connection.timeOut('dead')
  }
}

/** The peer has sent something, or has taken something off us while it was behind. */
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
