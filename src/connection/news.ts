import type { DrainInfo, GapInfo, News, PresenceDiff, PresenceEntry } from './handler.ts'
import type { Letter } from './mailbox.ts'

/** A letter of the library's own. News that comes while it waits is merged into it. */
export interface NewsLetter extends Letter {
  readonly type: News['type']
  readonly isNews: true
  readonly info: News['info']
  merge (info: News['info']): void
}

/**
 * The news that waits in one mailbox: at most one drain, one gap, and one presence diff of each
 * topic. So none has to be refused, and their number has a bound.
 */
export class WaitingNews {
  readonly #letters = new Map<string, NewsLetter>()

  get isEmpty (): boolean { return this.#letters.size === 0 }

  /**
   * Merges news into the letter that waits. Gives a new letter, to be put into the mailbox, when
   * none waits.
   */
  add (news: News): NewsLetter | undefined {
    const key = keyOf(news)
    const waiting = this.#letters.get(key)
    if (waiting !== undefined) {
      waiting.merge(news.info)
      return undefined
    }
    const letter = openLetter(news)
    this.#letters.set(key, letter)
    return letter
  }

  /** A letter is about to be handled: nothing is merged into it any more. */
  delete (letter: NewsLetter): void {
    this.#letters.delete(keyOf(letter as News))
  }
}

function keyOf (news: News): string {
  return news.type === 'presence' ? `presence ${news.info.topic}` : news.type
}

function openLetter (news: News): NewsLetter {
  switch (news.type) {
    case 'drain': return new DrainLetter(news.info)
    case 'gap': return new GapLetter(news.info)
    case 'presence': return new PresenceLetter(news.info)
  }
}

class DrainLetter implements NewsLetter {
  readonly type = 'drain'
  readonly isNews = true
  info: DrainInfo

  constructor (info: DrainInfo) {
    this.info = info
  }

  /** The earliest end counts. */
  merge (info: DrainInfo): void {
    if (info.timeoutMs < this.info.timeoutMs) this.info = info
  }
}

class GapLetter implements NewsLetter {
  readonly type = 'gap'
  readonly isNews = true
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
class PresenceLetter implements NewsLetter {
  readonly type = 'presence'
  readonly isNews = true
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

  merge (info: News['info']): void {
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
