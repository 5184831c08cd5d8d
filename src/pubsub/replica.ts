import { isDeepStrictEqual } from 'node:util'
import type { PresenceEntry } from '../connection/handler.ts'
import type { WireEntry } from './presence-message.ts'
import { getOrAdd } from './subscriptions.ts'

/** Told of each entry that comes, goes or changes, with what was there before. */
export type OnChange = (topic: string, id: string, before: PresenceEntry | undefined) => void

interface Kept {
  readonly entry: PresenceEntry
  readonly bytes: number
}

/** What one node has told of who is with it; for this node, what is. */
export class Replica {
  version = 0
  /** Ticks since it was last heard of. */
  silentTicks = 0
  /** Whether it was asked for all since the last tick. */
  asked = false
  /** Of its entries, as JSON. */
  bytes = 0
  readonly #topics = new Map<string, Map<string, Kept>>()
  readonly #changed: OnChange
  /** Parts of a snapshot, in their order, until the last has come. */
  #arriving: { readonly version: number, readonly parts: number, next: number, bytes: number, readonly entries: WireEntry[] } | undefined

  constructor (changed: OnChange) {
    this.#changed = changed
  }

  of (topic: string): PresenceEntry[] {
    return Array.from(this.#topics.get(topic)?.values() ?? [], ({ entry }) => entry)
  }

  get (topic: string, id: string): PresenceEntry | undefined {
    return this.#topics.get(topic)?.get(id)?.entry
  }

  * entries (): Iterable<WireEntry> {
    for (const [topic, entries] of this.#topics) {
      for (const { entry: { key, address, meta } } of entries.values()) yield [topic, key, address, meta]
    }
  }

  set (entry: WireEntry): void {
    const [topic, key, address, meta] = entry
    const id = idOf(key, address)
    const entries = getOrAdd(this.#topics, topic, () => new Map<string, Kept>())
    const before = entries.get(id)
    if (before !== undefined && isDeepStrictEqual(before.entry.meta, meta)) return
    const bytes = sizeOf(entry)
    entries.set(id, { entry: Object.freeze({ key, meta, address }), bytes })
    this.bytes += bytes - (before?.bytes ?? 0)
    this.#changed(topic, id, before?.entry)
  }

  delete (topic: string, id: string): void {
    const entries = this.#topics.get(topic)
    const before = entries?.get(id)
    if (entries === undefined || before === undefined) return
    entries.delete(id)
    if (entries.size === 0) this.#topics.delete(topic)
    this.bytes -= before.bytes
    this.#changed(topic, id, before.entry)
  }

  /** One part of a snapshot; what it holds counts when all have come, one after the other. */
  takePart (version: number, part: number, parts: number, entries: readonly WireEntry[], maxBytes: number): void {
    if (part === 0) this.#arriving = { version, parts, next: 0, bytes: 0, entries: [] }
    const arriving = this.#arriving
    if (arriving === undefined || arriving.version !== version || arriving.parts !== parts || arriving.next !== part || arriving.bytes > maxBytes) {
      this.#arriving = undefined
      return
    }
    arriving.next++
    for (const entry of entries) {
      arriving.entries.push(entry)
      arriving.bytes += sizeOf(entry)
    }
    if (arriving.next !== parts) return
    this.#arriving = undefined
    this.version = version
    this.#replace(arriving.entries)
  }

  clear (): void {
    this.#replace([])
  }

  /** As if nothing had been told. */
  reset (): void {
    this.version = 0
    this.clear()
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

/** Bytes of JSON. */
export function sizeOf (entry: WireEntry): number {
  return Buffer.byteLength(JSON.stringify(entry))
}

/** Which entry of a topic: an address has no spaces. */
export function idOf (key: string, address: string): string {
  return `${address} ${key}`
}
