import type { Letter } from './mailbox.ts'

/** The argument of `handleDrain`. */
export interface DrainInfo {
  /**
   * Milliseconds until the remaining connections are destroyed. This connection may be closed at
   * any time after `handleDrain` has finished.
   */
  readonly timeoutMs: number
}

/** The argument of `handleGap`: publications of other nodes were lost. */
export interface GapInfo {
  /**
   * The length of the gap in milliseconds: the time since the last proof that publications arrive.
   * All topics of this connection are subscribed again, so data read from a database now misses
   * nothing.
   */
  readonly ms: number
}

/** An entry of presence. */
export interface PresenceEntry {
  /** Not unique: several connections may use the same key. */
  readonly key: string
  /** The meta given to `track`, as copied by JSON. */
  readonly meta: unknown
  /** The address of the connection that tracks the entry, for `app.websock.ref`. */
  readonly address: string
}

/**
 * The argument of `handlePresence`: the entries that joined and left a topic. A changed meta is a
 * leave and a join.
 */
export interface PresenceDiff {
  readonly topic: string
  readonly joins: readonly PresenceEntry[]
  readonly leaves: readonly PresenceEntry[]
}

/**
 * A message from the library to a handler. Each kind has its own callback, so that infos have only
 * the types that the route declares.
 */
export type SystemMessage =
  | { readonly type: 'drain', readonly info: DrainInfo }
  | { readonly type: 'gap', readonly info: GapInfo }
  | { readonly type: 'presence', readonly info: PresenceDiff }

/** The letter of a system message. A later message of the same kind is merged into it. */
export interface SystemLetter extends Letter {
  readonly type: SystemMessage['type']
  readonly isSystem: true
  readonly info: SystemMessage['info']
  merge (info: SystemMessage['info']): void
}

/**
 * The system messages that wait in one mailbox: at most one drain, one gap, and one presence diff
 * for each topic. So their number is bounded, and none is refused.
 */
export class WaitingSystemMessages {
  readonly #letters = new Map<string, SystemLetter>()

  /**
   * Merges a message into the waiting letter of its kind. If none waits, returns a new letter for
   * the mailbox.
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

  /**
   * Removes a letter that is about to be handled, so that nothing is merged into it. Returns true
   * when no letter is left.
   */
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

  /** The shorter time limit counts. */
  merge (info: DrainInfo): void {
    if (info.timeoutMs < this.info.timeoutMs) this.info = info
  }
}

class GapLetter implements SystemLetter {
  readonly type = 'gap'
  readonly isSystem = true
  info: GapInfo
  /** When `info` was set, in ms of `performance.now()`. */
  #setAt = performance.now()

  constructor (info: GapInfo) {
    this.info = info
  }

  /** Two gaps become one, from the beginning of the earlier one to the end of the later one. */
  merge ({ ms }: GapInfo): void {
    const now = performance.now()
    this.info = { ms: Math.max(ms, Math.ceil(now - this.#setAt) + this.info.ms) }
    this.#setAt = now
  }
}

/** Limit of entries kept that joined and left while a diff waits: about 100 bytes each. */
const MAX_PASSING = 16_384

/**
 * A letter with the presence changes of one topic. Receivers apply leaves first, so an entry that
 * has left and joined again is in both lists.
 */
class PresenceLetter implements SystemLetter {
  readonly type = 'presence'
  readonly isSystem = true
  #diff: PresenceDiff
  /** The merged diffs, by the id of the entry. Undefined while there is only one diff. */
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
        // Reported as a leave only: a handler may have seen the entry in `app.websock.presence`.
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

/** Builds the id of an entry. Unambiguous, because an address has no spaces. */
function idOf ({ key, address }: PresenceEntry): string {
  return `${address} ${key}`
}
