import { Liveness } from './liveness.ts'
import type { ConnectionState, RedisConnection, RedisServer, RedisServers } from './redis-server.ts'
import { slotOf } from './redis-slot.ts'

export interface RedisEvents {
  /** `areReady` may have changed. `reason`: the error that caused it, if any. */
  change (reason?: unknown): void
  receive (channel: string, payload: Uint8Array): void
  /** All publications made before that time have arrived, on all connections. */
  proved (sentAt: number): void
}

interface Member {
  readonly server: RedisServer
  readonly role: 'publisher' | 'subscriber'
  readonly liveness: Liveness
  connection: RedisConnection
  /** The state of the connection at its last event. */
  state: ConnectionState
  provedAt: number
  /** The cluster's epoch. Set only for a publisher in a cluster, after the server has answered. */
  epoch: string | undefined
}

const FIND_TIMEOUT_MS = 10_000
const RETRY_MS = 500

/**
 * The connections of a Redis engine: one to publish and one to subscribe. A sharded cluster needs
 * such a pair for each master.
 *
 * When one connection is lost, all are replaced. Otherwise a server could keep subscriptions that
 * are no longer wanted.
 */
export class RedisConnections {
  readonly #servers: RedisServers
  readonly #isSharded: boolean
  #events: RedisEvents | undefined
  #members: Member[] = []
  #timer: NodeJS.Timeout | undefined

  constructor (servers: RedisServers, isSharded: boolean) {
    this.#servers = servers
    this.#isSharded = isSharded
  }

  get areReady (): boolean {
    return (
      this.#members.length > 0 &&
      this.#members.every((member) => member.state === 'ready' && this.#isHealthy(member))
    )
  }

  open (events: RedisEvents): void {
    this.#events = events
    void this.#connect()
  }

  publish (channel: string, payload: Buffer): Promise<unknown> {
    return this.#use('publisher', channel, (connection) => connection.publish(channel, payload))
  }

  subscribe (channel: string): Promise<unknown> {
    return this.#use('subscriber', channel, (connection) => connection.subscribe(channel))
  }

  unsubscribe (channel: string): Promise<unknown> {
    return this.#use('subscriber', channel, (connection) => connection.unsubscribe(channel))
  }

  close (): void {
    this.#events = undefined
    clearTimeout(this.#timer)
    this.#closeAll()
  }

  async #connect (): Promise<void> {
    let servers: readonly RedisServer[]
    try {
      servers = await withTimeout(this.#servers.find())
      if (servers.length === 0) throw new Error('The Redis cluster has no masters')
    } catch (error) {
      return this.#restart(error, RETRY_MS)
    }
    if (this.#events === undefined) return
    // Without sharding, a publication reaches all servers of a cluster, so one is enough.
    const used = this.#isSharded
      ? servers
      : [servers[Math.floor(Math.random() * servers.length)] as RedisServer]
    this.#unlessRefused(() => {
      for (const server of used) {
        for (const role of ['publisher', 'subscriber'] as const) this.#add(server, role)
      }
    })
  }

  #add (server: RedisServer, role: Member['role']): void {
    const liveness = new Liveness({
      probe: () => this.#probe(member),
      proved: (sentAt) => this.#proved(member, sentAt),
      silent: () => this.#restart(new Error('Redis does not answer'), RETRY_MS)
    })
    const member: Member = {
      server,
      role,
      liveness,
      state: 'away',
      provedAt: performance.now(),
      epoch: undefined,
      connection: undefined as never
    }
    this.#open(member)
    this.#members.push(member)
  }

  #open (member: Member): void {
    member.state = 'away'
    member.epoch = undefined
    const isCurrent = (): boolean =>
      member.connection === connection && this.#members.includes(member)
    const connection: RedisConnection = member.server.connect({
      change: (reason) => {
        if (isCurrent()) this.#updateState(member, reason)
      },
      receive: (channel, payload) => {
        if (!isCurrent()) return
        member.liveness.heard()
        this.#events?.receive(channel, payload)
      },
      moved: () => {
        if (isCurrent()) {
          this.#restart(new Error('A slot of the Redis cluster has moved'), RETRY_MS)
        }
      }
    })
    member.connection = connection
  }

  #updateState (member: Member, reason: unknown): void {
    const before = member.state
    const now = member.state = member.connection.state
    if (now === 'away') member.liveness.stop()
    else member.liveness.start()
    if (now === 'ready' && before !== 'ready') {
      member.provedAt = performance.now()
      if (this.#isClusterPublisher(member)) void this.#probe(member)
    }
    const isLost = before === 'ready' && now !== 'ready'
    if (this.#servers.kind !== 'one' && (isLost || reason !== undefined)) {
      return this.#restart(reason ?? new Error('The connection to Redis was lost'), RETRY_MS)
    }
    this.#events?.change(reason)
    if (isLost) this.#replaceOthers(member)
  }

  /**
   * Replaces all connections but the lost one, which reconnects by itself. The others may have
   * subscriptions that are no longer wanted.
   */
  #replaceOthers (lost: Member): void {
    this.#unlessRefused(() => {
      for (const member of this.#members) {
        if (member === lost) continue
        member.liveness.stop()
        member.connection.close()
        this.#open(member)
      }
    })
  }

  /**
   * Runs `connect`. The user's client may throw when it is duplicated: that is logged, and must not
   * end the process.
   */
  #unlessRefused (connect: () => void): void {
    try {
      connect()
    } catch (error) {
      this.#restart(error, RETRY_MS)
    }
  }

  #restart (reason: unknown, delayMs: number): void {
    if (this.#events === undefined) return
    this.#closeAll()
    this.#events.change(reason)
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => { void this.#connect() }, delayMs).unref()
  }

  #closeAll (): void {
    const members = this.#members
    this.#members = []
    for (const { connection, liveness } of members) {
      liveness.stop()
      connection.close()
    }
  }

  /**
   * Sends a probe. Resolves with true when the server has answered, even if it denied the command.
   */
  async #probe (member: Member): Promise<boolean> {
    const { connection } = member
    if (connection.state !== 'ready') return false
    try {
      if (!this.#isClusterPublisher(member)) await connection.ask('ping')
      else this.#readClusterInfo(member, String(await connection.ask('cluster', 'INFO')))
      return true
    } catch (error) {
      if (!isErrorReply(error)) return false
      if (this.#isClusterPublisher(member)) this.#readClusterInfo(member, '')
      return true
    }
  }

  /**
   * Reads the answer to CLUSTER INFO. Each failover and each moved slot begins a new epoch. In a
   * cluster that is down, some nodes may be cut off.
   */
  #readClusterInfo (member: Member, info: string): void {
    if (!this.#members.includes(member)) return
    const { cluster_state: state = 'ok', cluster_current_epoch: epoch = '' } = Object.fromEntries(
      info.split('\r\n').map((line) => line.split(':'))
    )
    const isSame = member.epoch === undefined || member.epoch === epoch
    const wasReady = this.areReady
    member.epoch = state === 'ok' ? epoch : undefined
    if (!isSame || (wasReady && state !== 'ok')) {
      return this.#restart(
        new Error(state === 'ok' ? 'The Redis cluster has changed' : 'The Redis cluster is down'),
        RETRY_MS
      )
    }
    if (!wasReady && this.areReady) this.#events?.change()
  }

  #proved (member: Member, sentAt: number): void {
    member.provedAt = sentAt
    this.#events?.proved(Math.min(...this.#members.map(({ provedAt }) => provedAt)))
  }

  #isClusterPublisher ({ role }: Member): boolean {
    return this.#servers.kind === 'cluster' && role === 'publisher'
  }

  #isHealthy (member: Member): boolean {
    return !this.#isClusterPublisher(member) || member.epoch !== undefined
  }

  async #use (
    role: Member['role'],
    channel: string,
    task: (connection: RedisConnection) => Promise<unknown>
  ): Promise<unknown> {
    const slot = this.#members.length > 2 ? slotOf(channel) : 0
    const member = this.#members.find(
      (each) => each.role === role && (this.#members.length <= 2 || each.server.has(slot))
    )
    if (member?.connection.state !== 'ready') {
      throw new Error('The connection to Redis is not ready')
    }
    try {
      return await task(member.connection)
    } catch (error) {
      if (
        isErrorReply(error) &&
        error.message.startsWith('MOVED ') &&
        this.#members.includes(member)
      ) {
        this.#restart(error, RETRY_MS)
      }
      throw error
    }
  }
}

/** Tells an error reply of the server from an error of the client, such as a command timeout. */
function isErrorReply (error: unknown): error is Error {
  return error instanceof Error && /^[A-Z]+ /.test(error.message)
}

async function withTimeout<T> (promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      reject,
      FIND_TIMEOUT_MS,
      new Error(`The servers of Redis were not found within ${FIND_TIMEOUT_MS} ms`)
    ).unref()
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
