import type { PresenceDiff, PresenceEntry } from '../connection/system-message.ts'
import { FST_WEBSOCK_UNTRACKABLE } from '../errors.ts'
import { checkKey, copyMeta } from './meta.ts'
import { nodeOf } from './envelope.ts'
import {
  readPresenceMessage,
  type PresenceMessage,
  type WireEntry,
  type WireId
} from './presence-message.ts'
import { Budget, idOf, Replica, sizeOf, type ReplicaOwner } from './replica.ts'
import type { PresenceStats } from '../telemetry/stats.ts'
import { getOrAdd } from './subscriptions.ts'

export interface PresenceOwner {
  /** This node's name. */
  readonly node: string
  /** True with an engine: changes are sent to other nodes. */
  readonly hasEngine: boolean
  /** Sends to all other nodes, in order. Dropped while the broker is disconnected. */
  sendToNodes (message: PresenceMessage): void
  /** The entries of a topic have changed, on any node. */
  presenceChanged (diff: PresenceDiff): void
  /** Entries of other nodes were dropped because of the limit on their total bytes. */
  presenceIncomplete (): void
}

/** Time between two heartbeats of a node. */
export const BEAT_MS = 1_000
/**
 * A node that sends nothing during more than this number of our ticks counts as dead, and its
 * entries are removed. Counted in ticks, not in milliseconds: a suspended process has no ticks, and
 * reads the received messages before it counts on.
 */
const SILENT_TICKS = 3
const MAX_NODES = 1_024
/**
 * Limit for all entries of one node, in bytes of JSON. A snapshot of them is sent at once and must
 * fit into the output buffer that brokers keep for a subscriber.
 */
const MAX_BYTES = 8 * 1024 * 1024
/** Limit for the entries of all other nodes, including the overhead of their objects. */
const MAX_OTHERS_BYTES = 64 * 1024 * 1024
/** JSON characters in one message. The last entry of a message may exceed it. */
const CHUNK_LENGTH = 24 * 1024

/** The entries of one address. */
interface Tracked {
  readonly topics: Map<string, Set<string>>
  /** JSON size of these entries. */
  bytes: number
}

interface Change {
  readonly key: string
  readonly address: string
  readonly own: boolean
  readonly before: PresenceEntry | undefined
  /** Entries added in this turn that `presence()` has returned already. */
  seen: PresenceEntry | undefined
}

/**
 * Presence in the whole cluster: the entries of all nodes.
 *
 * Each node publishes only its own entries, with a version for each batch of changes. Other nodes
 * keep a replica and apply the next version. A heartbeat each second carries the version; a node
 * that has missed one asks for a snapshot. After 3 to 4 s without a message a node counts as dead,
 * and its replica is removed. No node forwards entries of another one. This is the reconciliation
 * of Scuttlebutt (van Renesse et al., "Efficient Reconciliation and Flow Control for Anti-Entropy
 * Protocols", LADIS 2008), with a broadcast in place of gossip.
 */
export class Presence implements ReplicaOwner {
  readonly #owner: PresenceOwner
  readonly #own: Replica
  readonly #others = new Map<string, Replica>()
  readonly #othersBudget = new Budget(MAX_OTHERS_BYTES)
  /** The replicas that have entries of a topic. */
  readonly #byTopic = new Map<string, Set<Replica>>()
  readonly #byAddress = new Map<string, Tracked>()
  #changes = new Map<string, Map<string, Change>>()
  /**
   * A snapshot was sent since the last tick. All nodes receive a snapshot, so one answers several
   * requests.
   */
  #sentSnapshot = false
  /** The messages to send at the end of this turn. */
  #due: { beat: boolean, snapshot: boolean, scheduled: boolean } = {
    beat: false,
    snapshot: false,
    scheduled: false
  }

  constructor (owner: PresenceOwner) {
    this.#owner = owner
    this.#own = new Replica(this, new Budget(Infinity))
  }

  /**
   * Adds an entry. Tracking a key again replaces its meta; only the difference in size counts
   * towards the limits. `maxBytes` limits all entries of the address together. Throws
   * FST_WEBSOCK_UNTRACKABLE.
   */
  track (topic: string, key: string, meta: unknown, address: string, maxBytes = Infinity): void {
    checkKey(key)
    const entry: WireEntry = [topic, key, address, copyMeta(meta)]
    const added = sizeOf(entry) - this.#own.bytesOf(topic, idOf(key, address))
    const tracked = this.#byAddress.get(address) ?? { topics: new Map(), bytes: 0 }
    // A smaller meta never exceeds a limit.
    if (added > 0 && tracked.bytes + added > maxBytes) {
      throw new FST_WEBSOCK_UNTRACKABLE(
        `the entries of one connection have at most ${maxBytes} bytes of JSON in all ` +
        '(`maxPresenceBytes`)'
      )
    }
    if (added > 0 && this.#owner.hasEngine && this.#own.bytes + added > MAX_BYTES) {
      throw new FST_WEBSOCK_UNTRACKABLE(
        `the entries of one node have at most ${MAX_BYTES} bytes of JSON in all, as they are ` +
        'sent to other nodes together'
      )
    }
    this.#own.set(entry)
    this.#byAddress.set(address, tracked)
    getOrAdd(tracked.topics, topic, () => new Set<string>()).add(key)
    tracked.bytes += added
  }

  untrack (topic: string, key: string, address: string): void {
    const id = idOf(key, address)
    const tracked = this.#byAddress.get(address)
    if (tracked === undefined || this.#own.get(topic, id) === undefined) return
    tracked.bytes -= this.#own.bytesOf(topic, id)
    this.#own.delete(topic, id)
    const keys = tracked.topics.get(topic)
    keys?.delete(key)
    if (keys?.size === 0) tracked.topics.delete(topic)
    if (tracked.topics.size === 0) this.#byAddress.delete(address)
  }

  /** Removes all entries of an address. */
  untrackAll (address: string): void {
    const tracked = this.#byAddress.get(address)
    if (tracked === undefined) return
    this.#byAddress.delete(address)
    for (const [topic, keys] of tracked.topics) {
      for (const key of keys) this.#own.delete(topic, idOf(key, address))
    }
  }

  /**
   * Returns the entries of a topic in no particular order. Several entries may have the same key.
   * Takes time proportional to their number.
   */
  of (topic: string): PresenceEntry[] {
    for (const [id, change] of this.#changes.get(topic) ?? []) {
      if (change.before === undefined) change.seen = this.#find(topic, id) ?? change.seen
    }
    return Array.from(this.#byTopic.get(topic) ?? [], (replica) => replica.of(topic)).flat()
  }

  /** Numbers of entries and nodes, as far as this node knows them. */
  stats (): PresenceStats {
    let elsewhere = 0
    for (const { size } of this.#others.values()) elsewhere += size
    return { here: this.#own.size, elsewhere, nodes: this.#others.size + 1 }
  }

  /**
   * Starts the heartbeat and the removal of dead nodes. Returns a function that stops both and
   * notifies the other nodes.
   */
  start (): () => void {
    const timer = setInterval(() => this.tick(), BEAT_MS).unref()
    return () => {
      clearInterval(timer)
      this.#flush()
      this.#owner.sendToNodes({ type: 'bye' })
    }
  }

  /** Asks the other nodes for heartbeats. Call it when the engine has connected. */
  greet (): void {
    this.#flush()
    this.#beat(true)
  }

  /** Sends a heartbeat and removes silent nodes. Call it each BEAT_MS. */
  tick (): void {
    this.#sentSnapshot = false
    this.#due.beat = true
    this.#flush()
    for (const [node, replica] of this.#others) {
      replica.asked = false
      if (++replica.silentTicks > SILENT_TICKS) this.#removeNode(node, replica)
    }
  }

  /** Takes a message of another node. Returns false when it is malformed. */
  receive (node: string, body: unknown): boolean {
    const message = readPresenceMessage(node, body)
    if (message === undefined) return false
    if (message.type === 'ask') {
      if (message.of === this.#owner.node) this.#soon({ snapshot: true })
      return true
    }
    const replica = this.#others.get(node) ?? this.#addNode(node)
    if (replica === undefined) return true
    replica.silentTicks = 0
    this.#take(node, replica, message)
    if (replica.isIncomplete) this.#owner.presenceIncomplete()
    return true
  }

  #take (node: string, replica: Replica, message: Exclude<PresenceMessage, { type: 'ask' }>): void {
    switch (message.type) {
      case 'beat':
        if (message.hello) this.#soon({ beat: true })
        // A version below the known one means that another node uses this name.
        if (message.version < replica.version) replica.reset()
        if (
          message.version !== replica.version ||
          (replica.isIncomplete && this.#othersBudget.hasRoom)
        ) {
          this.#ask(node, replica)
        }
        return
      case 'delta':
        if (message.version === replica.version + 1) this.#apply(replica, message)
        else if (message.version > replica.version) this.#ask(node, replica)
        return
      case 'part':
        if (
          message.version > replica.version ||
          (replica.isIncomplete && message.version === replica.version)
        ) {
          replica.takePart(message.version, message.part, message.parts, message.entries, MAX_BYTES)
        }
        return
      case 'bye':
        this.#removeNode(node, replica)
    }
  }

  #apply (replica: Replica, { version, joins, leaves }: PresenceMessage & { type: 'delta' }): void {
    replica.version = version
    for (const [topic, key, address] of leaves) replica.delete(topic, idOf(key, address))
    for (const entry of joins) {
      if (replica.bytes < MAX_BYTES) replica.set(entry)
      else replica.isIncomplete = true
    }
  }

  #addNode (node: string): Replica | undefined {
    if (node === this.#owner.node || this.#others.size >= MAX_NODES) return undefined
    const replica = new Replica(this, this.#othersBudget)
    this.#others.set(node, replica)
    return replica
  }

  #removeNode (node: string, replica: Replica): void {
    replica.clear()
    this.#others.delete(node)
  }

  #ask (node: string, replica: Replica): void {
    if (replica.asked) return
    replica.asked = true
    this.#owner.sendToNodes({ type: 'ask', of: node })
  }

  #beat (hello: boolean): void {
    this.#due.beat = false
    this.#owner.sendToNodes({ type: 'beat', version: this.#own.version, hello })
  }

  #sendSnapshot (): void {
    this.#due.snapshot = false
    this.#sentSnapshot = true
    const chunks = [...chunksOf(this.#own.entries())]
    const parts = Math.max(1, chunks.length)
    for (let part = 0; part < parts; part++) {
      this.#owner.sendToNodes({
        type: 'part',
        version: this.#own.version,
        part,
        parts,
        entries: chunks[part] ?? []
      })
    }
  }

  #soon ({ beat = false, snapshot = false }: { beat?: boolean, snapshot?: boolean } = {}): void {
    this.#due.beat ||= beat
    this.#due.snapshot ||= snapshot
    if (this.#due.scheduled) return
    this.#due.scheduled = true
    setImmediate(() => this.#flush())
  }

  /**
   * Sends the changes of this turn, then the heartbeat or snapshot that is due, which therefore
   * includes those changes.
   */
  #flush (): void {
    this.#due.scheduled = false
    this.#publishChanges()
    if (this.#due.beat) this.#beat(false)
    if (this.#due.snapshot && !this.#sentSnapshot) this.#sendSnapshot()
  }

  topicOpened (replica: Replica, topic: string): void {
    getOrAdd(this.#byTopic, topic, () => new Set()).add(replica)
  }

  topicClosed (replica: Replica, topic: string): void {
    const replicas = this.#byTopic.get(topic)
    replicas?.delete(replica)
    if (replicas?.size === 0) this.#byTopic.delete(topic)
  }

  /** Records the entry as it was before the first change in this turn. */
  changed (replica: Replica, topic: string, id: string, before: PresenceEntry | undefined): void {
    this.#soon()
    const changes = getOrAdd(this.#changes, topic, () => new Map<string, Change>())
    if (changes.has(id)) return
    const { key, address } = before ?? replica.get(topic, id) as PresenceEntry
    changes.set(id, { key, address, own: replica === this.#own, before, seen: undefined })
  }

  /** Sends the changes of this turn to the other nodes and to the subscribers of each topic. */
  #publishChanges (): void {
    const changed = this.#changes
    if (changed.size === 0) return
    this.#changes = new Map()
    const ownJoins: WireEntry[] = []
    const ownLeaves: WireId[] = []
    const diffs: PresenceDiff[] = []
    for (const [topic, changes] of changed) {
      const joins: PresenceEntry[] = []
      const leaves: PresenceEntry[] = []
      // Entries that were added and removed in this turn, but returned by `presence()` in between:
      // a leave is sent, because the reader would wait for it.
      const seen: PresenceEntry[] = []
      for (const [id, { key, address, own, before, seen: passing }] of changes) {
        const after = this.#find(topic, id)
        if (after === undefined && passing !== undefined) seen.push(passing)
        if (after === before) continue
        if (before !== undefined) leaves.push(before)
        if (after !== undefined) joins.push(after)
        if (!own) continue
        if (after === undefined) ownLeaves.push([topic, key, address])
        else ownJoins.push([topic, key, address, after.meta])
      }
      if (seen.length > 0) {
        diffs.push({ topic, joins: seen, leaves: [] }, { topic, joins: [], leaves: seen })
      }
      if (joins.length > 0 || leaves.length > 0) diffs.push({ topic, joins, leaves })
    }
    for (const leaves of chunksOf(ownLeaves)) this.#sendDelta([], leaves)
    for (const joins of chunksOf(ownJoins)) this.#sendDelta(joins, [])
    // Last, because subscribers may track and untrack when they are called.
    for (const diff of diffs) this.#owner.presenceChanged(diff)
  }

  #find (topic: string, id: string): PresenceEntry | undefined {
    // An id begins with its address.
    const node = nodeOf(id)
    return (node === this.#owner.node ? this.#own : this.#others.get(node))?.get(topic, id)
  }

  #sendDelta (joins: readonly WireEntry[], leaves: readonly WireId[]): void {
    this.#own.version++
    this.#owner.sendToNodes({ type: 'delta', version: this.#own.version, joins, leaves })
  }
}

function * chunksOf<T> (entries: Iterable<T>): Iterable<T[]> {
  let chunk: T[] = []
  let length = 0
  for (const entry of entries) {
    chunk.push(entry)
    length += JSON.stringify(entry).length
    if (length < CHUNK_LENGTH) continue
    yield chunk
    chunk = []
    length = 0
  }
  if (chunk.length > 0) yield chunk
}
