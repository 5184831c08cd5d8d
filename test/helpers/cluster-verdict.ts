import {
  MARGIN_MS,
  TOPICS,
  type FaultyCluster,
  type NodeEnd,
  type Publication,
  type Session,
  type Window
} from './cluster-faults.ts'

export interface Verdict {
  /** Publications in times without a fault, each counted once for each session that must get it. */
  expected: number
  missing: number
  twice: number
  /** Publications in times without a fault that arrived after a later one of the same publisher. */
  outOfOrder: number
  /**
   * The same in other times: a broker that was paused or cut off may deliver publications that the
   * publisher counts as lost.
   */
  late: number
  received: number
  /** Publications missed during faults, each counted once for each session that missed it. */
  lost: number
  /**
   * Lost publications without a gap at the receiver that the publisher does not count as lost
   * either.
   */
  unreported: number
}

/** Compares the publications that each session got with those it should have got. */
export function judge ({
  sessions,
  windows,
  ends
}: Pick<FaultyCluster, 'sessions' | 'windows' | 'ends'>): Verdict {
  const verdict: Verdict = {
    expected: 0,
    missing: 0,
    twice: 0,
    outOfOrder: 0,
    late: 0,
    received: 0,
    lost: 0,
    unreported: 0
  }
  const blamed = new Map<number, Set<string>>()
  for (let topic = 0; topic < TOPICS; topic++) {
    const readers = sessions.filter((session) => session.topic === topic)
    const published = readPublished(readers)
    for (const session of readers) {
      const seen = judgeOrder(session, windows, verdict)
      for (const publication of published) {
        const { from, n, at } = publication
        if (at < session.readyAt || at > session.closedAt - MARGIN_MS) continue
        const isMissing = !seen.has(`${from} ${n}`)
        const isReported = isMissing && wasReported(session, at)
        const window = windowOf(at, windows)
        // A session with a gap is not counted, even without a fault: the machine may have been too
        // busy.
        if (
          window !== undefined &&
          !isReported &&
          session.readyAt <= window.from &&
          session.closedAt >= window.to
        ) {
          verdict.expected++
          if (isMissing) verdict.missing++
        } else if (isMissing) {
          verdict.lost++
          if (!isReported && !diedWithIt(publication, ends)) {
            blamed.set(from, (blamed.get(from) ?? new Set()).add(`${topic} ${n}`))
          }
        }
      }
    }
  }
  for (const [pid, publications] of blamed) {
    const lost = ends.find((end) => end.pid === pid)?.lost ?? 0
    verdict.unreported += Math.max(0, publications.size - lost)
  }
  return verdict
}

/** Counts repeated and late publications of a session. Returns all that it received. */
function judgeOrder (
  { received }: Session,
  windows: readonly Window[],
  verdict: Verdict
): Set<string> {
  const last = new Map<number, number>()
  const seen = new Set<string>()
  for (const { from, n, at } of received) {
    const before = last.get(from) ?? 0
    if (seen.has(`${from} ${n}`)) verdict.twice++
    else if (n < before) verdict[windowOf(at, windows) === undefined ? 'late' : 'outOfOrder']++
    seen.add(`${from} ${n}`)
    last.set(from, Math.max(n, before))
  }
  verdict.received += received.length
  return seen
}

function windowOf (at: number, windows: readonly Window[]): Window | undefined {
  return windows.find(({ from, to }) => at >= from && at <= to)
}

function wasReported ({ gaps }: Session, at: number): boolean {
  return gaps.some((gap: Window) => at >= gap.from - MARGIN_MS && at <= gap.to)
}

/**
 * Tells whether a publication was published so shortly before its node was killed that it may not
 * have been sent.
 */
function diedWithIt ({ from, at }: Publication, ends: readonly NodeEnd[]): boolean {
  return ends.some((end) => end.pid === from && at > end.at - MARGIN_MS)
}

/**
 * All publications on a topic that at least one session received, and the missing numbers between
 * them.
 */
function readPublished (readers: readonly Session[]): Publication[] {
  const byNode = new Map<number, Map<number, Publication>>()
  for (const publication of readers.flatMap(({ received }) => received)) {
    const known = byNode.get(publication.from) ?? new Map<number, Publication>()
    byNode.set(publication.from, known.set(publication.n, publication))
  }
  return [...byNode].flatMap(([from, known]) => {
    const numbers = [...known.keys()]
    const all: Publication[] = []
    let at = 0
    for (let n = Math.min(...numbers); n <= Math.max(...numbers); n++) {
      // A publication that no session received was published after the previous one.
      at = known.get(n)?.at ?? at
      all.push({ from, n, at })
    }
    return all
  })
}
