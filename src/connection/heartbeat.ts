export interface HeartbeatLimits {
  /** Silence before a ping, in ms; 0: never. */
  readonly heartbeatIntervalMs: number
  /** Wait for any byte after the ping, in ms; 0: for ever. */
  readonly heartbeatTimeoutMs: number
  /** No data message for this long, in ms; 0: never mind. */
  readonly idleTimeoutMs: number
}

export interface Beating {
  readonly limits: HeartbeatLimits
  readonly pulse: Pulse
  /** All bytes that came from the peer so far: the only sign of life. Undefined: this socket does not tell. */
  readonly bytesRead: number | undefined
  /** Whole data messages so far. */
  readonly messagesRead: number
  /** We have stopped reading ourselves: silence says nothing about the peer. */
  readonly deaf: boolean
  ping (): void
  timeOut (kind: 'dead' | 'idle'): void
}

/** What was last heard of one peer, in the heartbeat's own time. */
export class Pulse {
  bytes = -1
  messages = -1
  heardAt = 0
  messageAt = 0
  pingedAt = -1
}

/**
 * Watches all connections with one timer.
 *
 * Its time stands still while the event loop is stalled: bytes that came meanwhile are not read yet,
 * so a peer must not be judged by a silence that was ours.
 */
export class Heartbeat {
  readonly #periodMs: number
  #awakeMs = 0
  #lastBeat: number

  constructor (periodMs: number, now: number) {
    this.#periodMs = periodMs
    this.#lastBeat = now
  }

  /** Looks at each connection once: pings the silent, ends the dead and the idle. `now` in ms, of a monotonic clock. */
  beat (now: number, connections: Iterable<Beating>): void {
    const elapsed = now - this.#lastBeat
    this.#lastBeat = now
    if (elapsed <= 2 * this.#periodMs) this.#awakeMs += elapsed
    for (const connection of connections) check(connection, this.#awakeMs)
  }
}

/** How often to look, so that a limit is overstepped by a tenth of itself at most: 5 ms to 1 s. Infinity: never. */
export function beatPeriodMs (limits: HeartbeatLimits): number {
  const shortest = Math.min(...[limits.heartbeatIntervalMs, limits.heartbeatTimeoutMs, limits.idleTimeoutMs].filter((ms) => ms > 0))
  return shortest === Infinity ? Infinity : Math.max(5, Math.min(1000, Math.floor(shortest / 10)))
}

function check (connection: Beating, now: number): void {
  const { limits, pulse, bytesRead, messagesRead, deaf } = connection
  if (deaf || messagesRead !== pulse.messages) {
    pulse.messages = messagesRead
    pulse.messageAt = now
  } else if (limits.idleTimeoutMs > 0 && now - pulse.messageAt >= limits.idleTimeoutMs) {
    return connection.timeOut('idle')
  }
  if (limits.heartbeatIntervalMs === 0 || bytesRead === undefined) return
  if (deaf || bytesRead !== pulse.bytes) {
    pulse.bytes = bytesRead
    pulse.heardAt = now
    pulse.pingedAt = -1
  } else if (pulse.pingedAt === -1) {
    if (now - pulse.heardAt >= limits.heartbeatIntervalMs) {
      pulse.pingedAt = now
      connection.ping()
    }
  } else if (limits.heartbeatTimeoutMs > 0 && now - pulse.pingedAt >= limits.heartbeatTimeoutMs) {
    connection.timeOut('dead')
  }
}
