import type { Letter } from './mailbox.ts'

/** What `handleDrain` is given. */
export interface DrainInfo {
  /**
   * Milliseconds until connections that are left are destroyed. This one may be closed at any time
   * before.
   */
  readonly timeoutMs: number
}

/** What `handleGap` is given: publications of other nodes were lost. */
export interface GapInfo {
  /**
   * For how many milliseconds, at least: since the last proof that all arrives. All topics of this
   * connection are in force again: what is read from a database now misses nothing.
   */
  readonly ms: number
}

/** An entry of presence. */
export interface PresenceEntry {
  /** Several connections may have the same key. */
  readonly key: string
  /** What `track` was given, as JSON has it. */
  readonly meta: unknown
  /** The address of its connection, for `app.websock.ref`. */
  readonly address: string
}

/**
 * What `handlePresence` is given: who came to and left a topic. Another meta is a leave and a join
 * in one.
 */
export interface PresenceDiff {
  readonly topic: string
  readonly joins: readonly PresenceEntry[]
  readonly leaves: readonly PresenceEntry[]
}

/**
 * A message of the library to a handler. Each kind has a callback of its own, so that infos have
 * only the types that the route declares.
 */
export type SystemMessage =
  | { readonly type: 'drain', readonly info: DrainInfo }
  | { readonly type: 'gap', readonly info: GapInfo }
  | { readonly type: 'presence', readonly info: PresenceDiff }

/** A letter of the library's own. A later message of its kind is merged into it. */
export interface SystemLetter extends Letter {
  readonly type: SystemMessage['type']
  readonly isSystem: true
  readonly info: SystemMessage['info']
  merge (info: SystemMessage['info']): void
}

/**
 * The system messages that wait in one mailbox: at most one drain, one gap, and one presence diff
 * of each topic. So their number has a bound, and none is refused.
 */
export class WaitingSystemMessages {
  readonly #letters = new Map<string, SystemLetter>()

  /**
   * Merges a message into the letter of its kind that waits. Returns a new letter, to be put into
   * the mailbox, when none waits.
   */
  add (message: SystemMessage): SystemLetter | undefined {
    const key = keyOf(message)
    const waiting = this.#letters.get(key)
    if (waiting !== undefined) {
      waiting.merge(message.info)
      return undefined
    }
    const letter = openLetter(message)
    this.#letters.set(key, letter)
    return letter
  }

  /** A letter is about to be handled: nothing is merged into it any more. True: none is left. */
  delete (letter: SystemLetter): boolean {
    this.#letters.delete(keyOf(letter as SystemMessage))
    return this.#letters.size === 0
  }
}

function keyOf (message: SystemMessage): string {
  return message.type === 'presence' ? `presence ${message.info.topic}` : message.type
}

function openLetter (message: SystemMessage): SystemLetter {
  switch (message.type) {
    case 'drain': return new DrainLetter(message.info)
    case 'gap': return new GapLetter(message.info)
    case 'presence': return new PresenceLetter(message.info)
  }
}

class DrainLetter implements SystemLetter {
  readonly type = 'drain'
  readonly isSystem = true
  info: DrainInfo

  constructor (info: DrainInfo) {
    this.info = info
  }

  /** The earliest end counts. */
  merge (info: DrainInfo): void {
    if (info.timeoutMs < this.info.timeoutMs) this.info = info
  }
}

class GapLetter implements SystemLetter {
  readonly type = 'gap'
  readonly isSystem = true
  info: GapInfo
  /** When `info` was told, in ms of `performance.now()`. */
  #toldAt = performance.now()

  constructor (info: GapInfo) {
    this.info = info
  }

  /** Two gaps become one, from the beginning of the earlier one to the end of the later one. */
  merge ({ ms }: GapInfo): void {
    const now = performance.now()
    this.info = { ms: Math.max(ms, Math.ceil(now - this.#toldAt) + this.info.ms) }
    this.#toldAt = now
  }
}

/** Entries that came and left while a diff waits, and are remembered: 100 bytes or so each. */
const MAX_PASSING = 16_384

/** Leaves are applied first, so an entry that has left and come again is in both lists. */
class PresenceLetter implements SystemLetter {
  readonly type = 'presence'
  readonly isSystem = true
  #diff: PresenceDiff
  /** What several diffs come to, by the id of the entry. Absent as long as there is one diff. */
  #merged:
    { readonly joins: EntryMap, readonly leaves: EntryMap, readonly passing: EntryMap } | undefined

  constructor (diff: PresenceDiff) {
    this.#diff = diff
  }

  get info (): PresenceDiff {
    if (this.#merged === undefined) return this.#diff
    const { joins, leaves, passing } = this.#merged
    return {
      topic: this.#diff.topic,
      joins: [...joins.values()],
      leaves: [...leaves.values(), ...passing.values()]
    }
  }

  merge (info: SystemMessage['info']): void {
    this.#merged ??= {
      joins: mapOf(this.#diff.joins),
      leaves: mapOf(this.#diff.leaves),
      passing: new Map()
    }
    const { joins, leaves, passing } = this.#merged
    const diff = info as PresenceDiff
    for (const entry of diff.leaves) {
      const id = idOf(entry)
      if (!joins.delete(id)) leaves.set(id, entry)
      else if (!leaves.has(id)) {
        // Told as a leave alone: a handler may have seen it by `app.websock.presence`.
        passing.set(id, entry)
        if (passing.size > MAX_PASSING) passing.delete(passing.keys().next().value as string)
      }
    }
    for (const entry of diff.joins) joins.set(idOf(entry), entry)
  }
}

type EntryMap = Map<string, PresenceEntry>

function mapOf (entries: readonly PresenceEntry[]): EntryMap {
  return new Map(entries.map((entry) => [idOf(entry), entry]))
}

/** An address has no spaces. */
function idOf ({ key, address }: PresenceEntry): string {
  return `${address} ${key}`
}
