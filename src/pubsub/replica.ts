import { isDeepStrictEqual } from 'node:util'
import type { PresenceEntry } from '../connection/handler.ts'
import type { WireEntry } from './presence-message.ts'
import { getOrAdd } from './subscriptions.ts'

/** Told of each entry that comes, goes or changes, with what was there before. */
export type OnChange = (topic: string, id: string, before: PresenceEntry | undefined) => void

/** What one node has told of who is with it; for this node, what is. */
export class Replica {
  version = 0
  /** Ticks since it was last heard of. */
  silentTicks = 0
  /** Whether it was asked for all since the last tick. */
  asked = false
  size = 0
  readonly #topics = new Map<string, Map<string, PresenceEntry>>()
  readonly #changed: OnChange
  /** Parts of a snapshot, in their order, until the last has come. */
  #arriving: { readonly version: number, readonly parts: number, next: number, readonly entries: WireEntry[] } | undefined

  constructor (changed: OnChange) {
    this.#changed = changed
  }

  of (topic: string): Iterable<PresenceEntry> {
    return this.#topics.get(topic)?.values() ?? []
  }

  get (topic: string, id: string): PresenceEntry | undefined {
    return this.#topics.get(topic)?.get(id)
  }

  * entries (): Iterable<WireEntry> {
    for (const [topic, entries] of this.#topics) {
      for (const { key, address, meta } of entries.values()) yield [topic, key, address, meta]
    }
  }

  set ([topic, key, address, meta]: WireEntry): void {
    const id = idOf(key, address)
    const entries = getOrAdd(this.#topics, topic, () => new Map<string, PresenceEntry>())
    const before = entries.get(id)
    if (before !== undefined && isDeepStrictEqual(before.meta, meta)) return
    entries.set(id, Object.freeze({ key, meta, address }))
    if (before === undefined) this.size++
    this.#changed(topic, id, before)
  }

  delete (topic: string, id: string): void {
    const entries = this.#topics.get(topic)
    const before = entries?.get(id)
    if (entries === undefined || before === undefined) return
    entries.delete(id)
    if (entries.size === 0) this.#topics.delete(topic)
    this.size--
    this.#changed(topic, id, before)
  }

  /** One part of a snapshot; what it holds counts when all have come, one after the other. */
  takePart (version: number, part: number, parts: number, entries: readonly WireEntry[], maxEntries: number): void {
    if (part === 0) this.#arriving = { version, parts, next: 0, entries: [] }
    const arriving = this.#arriving
    if (arriving === undefined || arriving.version !== version || arriving.parts !== parts || arriving.next !== part || arriving.entries.length + entries.length > maxEntries) {
      this.#arriving = undefined
      return
    }
    arriving.next++
    for (const entry of entries) arriving.entries.push(entry)
    if (arriving.next !== parts) return
    this.#arriving = undefined
    this.version = version
    this.#replace(arriving.entries)
  }

  clear (): void {
    this.#replace([])
  }

  #replace (entries: readonly WireEntry[]): void {
    const kept = new Map<string, Set<string>>()
    for (const [topic, key, address] of entries) getOrAdd(kept, topic, () => new Set()).add(idOf(key, address))
    for (const [topic, old] of this.#topics) {
      for (const id of old.keys()) if (kept.get(topic)?.has(id) !== true) this.delete(topic, id)
    }
    for (const entry of entries) this.set(entry)
  }
}

/** Which entry of a topic: an address has no spaces. */
export function idOf (key: string, address: string): string {
  return `${address} ${key}`
}
