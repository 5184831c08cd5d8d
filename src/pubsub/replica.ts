import { isDeepStrictEqual } from 'node:util'
import type { PresenceEntry } from '../connection/system-message.ts'
import type { WireEntry } from './presence-message.ts'
import { getOrAdd } from './subscriptions.ts'

/** Receives the changes of a replica. */
export interface ReplicaOwner {
  /** An entry was added, removed or changed. `before`: the previous entry. */
  changed (replica: Replica, topic: string, id: string, before: PresenceEntry | undefined): void
  /** The first entry of a topic was added. */
  topicOpened (replica: Replica, topic: string): void
  /** The last entry of a topic was removed. */
  topicClosed (replica: Replica, topic: string): void
}

/** A limit for the bytes of several replicas together. */
export class Budget {
  readonly #max: number
  used = 0

  constructor (max: number) {
    this.#max = max
  }

  /**
   * Takes bytes from the budget; a negative number returns them. Returns false, and takes nothing,
   * when too few are left.
   */
  take (bytes: number): boolean {
    if (bytes > 0 && this.used + bytes > this.#max) return false
    this.used += bytes
    return true
  }

  /** True when at least an eighth of the budget is free. */
  get hasRoom (): boolean {
    return this.used < this.#max * 7 / 8
  }
}

interface Kept {
  readonly entry: PresenceEntry
  readonly bytes: number
}

/** Memory of an entry besides its JSON: the objects, and its places in maps. */
const OVERHEAD_BYTES = 128

/** The presence entries of one node: a copy for other nodes, the original for this one. */
export class Replica {
  version = 0
  /** Ticks since the last message of its node. */
  silentTicks = 0
  /** A snapshot was requested since the last tick. */
  asked = false
  /** Some of its entries were dropped because of a limit. */
  isIncomplete = false
  /** Number of entries, and their size as JSON in bytes. */
  size = 0
  bytes = 0
  readonly #topics = new Map<string, Map<string, Kept>>()
  readonly #owner: ReplicaOwner
  readonly #budget: Budget
  /** The parts of a snapshot received so far, which must arrive in order. */
  #arriving:
    | {
      readonly version: number
      readonly parts: number
      next: number
      bytes: number
      cost: number
      readonly entries: WireEntry[]
    }
    | undefined

  constructor (owner: ReplicaOwner, budget: Budget) {
    this.#owner = owner
    this.#budget = budget
  }

  of (topic: string): PresenceEntry[] {
    return Array.from(this.#topics.get(topic)?.values() ?? [], ({ entry }) => entry)
  }

  get (topic: string, id: string): PresenceEntry | undefined {
    return this.#topics.get(topic)?.get(id)?.entry
  }

  /** JSON size of one entry in bytes, 0 when there is none. */
  bytesOf (topic: string, id: string): number {
    return this.#topics.get(topic)?.get(id)?.bytes ?? 0
  }

  * entries (): Iterable<WireEntry> {
    for (const [topic, entries] of this.#topics) {
      for (const {
        entry: { key, address, meta }
      } of entries.values()) {
        yield [topic, key, address, meta]
      }
    }
  }

  /** Adds or replaces an entry. Without room for it, the replica becomes incomplete. */
  set (entry: WireEntry): void {
    const [topic, key, address, meta] = entry
    const id = idOf(key, address)
    const before = this.#topics.get(topic)?.get(id)
    if (before !== undefined && isDeepStrictEqual(before.entry.meta, meta)) return
    const bytes = sizeOf(entry)
    if (!this.#budget.take(bytes - (before?.bytes ?? -OVERHEAD_BYTES))) {
      this.isIncomplete = true
      return
    }
    const entries = getOrAdd(this.#topics, topic, () => new Map<string, Kept>())
    if (entries.size === 0) this.#owner.topicOpened(this, topic)
    entries.set(id, { entry: Object.freeze({ key, meta, address }), bytes })
    if (before === undefined) this.size++
    this.bytes += bytes - (before?.bytes ?? 0)
    this.#owner.changed(this, topic, id, before?.entry)
  }

  delete (topic: string, id: string): void {
    const entries = this.#topics.get(topic)
    const before = entries?.get(id)
    if (entries === undefined || before === undefined) return
    entries.delete(id)
    this.size--
    this.bytes -= before.bytes
    this.#budget.take(-before.bytes - OVERHEAD_BYTES)
    if (entries.size === 0) {
      this.#topics.delete(topic)
      this.#owner.topicClosed(this, topic)
    }
    this.#owner.changed(this, topic, id, before.entry)
  }

  /**
   * Takes one part of a snapshot. The entries are replaced when all parts have arrived in order.
   */
  takePart (
    version: number,
    part: number,
    parts: number,
    entries: readonly WireEntry[],
    maxBytes: number
  ): void {
    if (part === 0) {
      this.#dropArriving()
      this.#arriving = { version, parts, next: 0, bytes: 0, cost: 0, entries: [] }
    }
    const arriving = this.#arriving
    if (arriving === undefined) return
    if (
      arriving.version !== version ||
      arriving.parts !== parts ||
      arriving.next !== part ||
      arriving.bytes > maxBytes
    ) {
      return this.#dropArriving()
    }
    arriving.next++
    for (const entry of entries) {
      const bytes = sizeOf(entry)
      if (!this.#budget.take(bytes + OVERHEAD_BYTES)) {
        this.isIncomplete = true
        return this.#dropArriving()
      }
      arriving.entries.push(entry)
      arriving.bytes += bytes
      arriving.cost += bytes + OVERHEAD_BYTES
    }
    if (arriving.next !== parts) return
    this.#dropArriving()
    this.version = version
    this.isIncomplete = false
    this.#replace(arriving.entries)
  }

  clear (): void {
    this.#dropArriving()
    this.#replace([])
  }

  /** Removes all entries and forgets the version. */
  reset (): void {
    this.version = 0
    this.clear()
  }

  #dropArriving (): void {
    this.#budget.take(-(this.#arriving?.cost ?? 0))
    this.#arriving = undefined
  }

  #replace (entries: readonly WireEntry[]): void {
    const kept = new Map<string, Set<string>>()
    for (const [topic, key, address] of entries) {
      getOrAdd(kept, topic, () => new Set()).add(idOf(key, address))
    }
    for (const [topic, old] of this.#topics) {
      for (const id of old.keys()) if (kept.get(topic)?.has(id) !== true) this.delete(topic, id)
    }
    for (const entry of entries) this.set(entry)
  }
}

/** JSON size of an entry in bytes. */
export function sizeOf (entry: WireEntry): number {
  return Buffer.byteLength(JSON.stringify(entry))
}

/**
 * Builds the identity of an entry within its topic. Unambiguous, because an address has no spaces.
 */
export function idOf (key: string, address: string): string {
  return `${address} ${key}`
}
