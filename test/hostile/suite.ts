import { describe, isComplete, judge, type Case, type Came } from './case.ts'
import { text } from './bytes.ts'
import { NotSpoken, Peer, type Address } from './peer.ts'
import { open, untilEchoes } from './steps.ts'
import { deflates } from './cases-deflate.ts'
import { endings } from './cases-endings.ts'
import { floods } from './cases-floods.ts'
import { frames } from './cases-frames.ts'
import { handshakes } from './cases-handshake.ts'
import { texts } from './cases-text.ts'

export const GROUPS: ReadonlyArray<readonly [title: string, cases: readonly Case[]]> = [
  ['Handshakes', handshakes],
  ['Frames', frames],
  ['Text', texts],
  ['Compression', deflates],
  ['Floods', floods],
  ['Endings', endings]
]

export interface Result {
  readonly name: string
  /** What came, in words. */
  readonly came: string
  /** From the last step until all had come. */
  readonly ms: number
  /** What the bystander waited for at most meanwhile; of cases that run alone. */
  readonly slowestEchoMs: number | undefined
  /** What is wrong; empty when nothing is. */
  readonly wrong: readonly string[]
  readonly skipped: boolean
}

/** The server under attack. */
export interface Target {
  readonly locate: (endpoint: NonNullable<Case['to']>) => Address
  /**
   * MiB over its start that the memory of the server had grown to at most since it was asked last,
   * where it can be asked.
   */
  readonly weigh?: () => Promise<number>
  /** What the bystander waited for at most since it was asked last. */
  readonly slowestEchoMs: () => Promise<number>
}

const AT_ONCE = 12
/** For a connection that is to stay open: until all has come. */
const PATIENCE_MS = 5000
/** To see what a server does that is slower than it should be. */
const GRACE_MS = 250

/**
 * Runs them all, the light ones beside each other, those with a known fault last; hands on each
 * result in the order of the cases. `onHealthy` is awaited before those with a known fault.
 */
export async function runSuite (
  cases: readonly Case[],
  target: Target,
  onResult: (result: Result, one: Case) => void,
  onHealthy: () => Promise<void>
): Promise<Result[]> {
  const results: Array<Result | undefined> = cases.map(() => undefined)
  let told = 0
  const run = async (i: number): Promise<void> => {
    results[i] = await runCase(cases[i] as Case, target)
    for (; results[told] !== undefined; told++) {
      onResult(results[told] as Result, cases[told] as Case)
    }
  }
  const light = cases.flatMap((one, i) =>
    one.alone === true || one.knownFault !== undefined ? [] : [i]
  )
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (let i = light.shift(); i !== undefined; i = light.shift()) await run(i)
  }))
  for (const [i, one] of cases.entries()) {
    if (one.alone === true && one.knownFault === undefined) await run(i)
  }
  await onHealthy()
  for (const [i, one] of cases.entries()) if (one.knownFault !== undefined) await run(i)
  return results as Result[]
}

async function runCase (one: Case, { locate, weigh, slowestEchoMs }: Target): Promise<Result> {
  const address = locate(one.to ?? 'echo')
  if (one.alone === true) await slowestEchoMs()
  if (one.expect.serverGrowsBelowMib !== undefined) await weigh?.()
  const peers = Array.from({ length: one.peers ?? 1 }, () => new Peer(address, one.peer))
  let since = performance.now()
  try {
    await Promise.all(peers.map((peer) => peer.perform(one.send)))
    since = performance.now()
    const { tcpEnds } = one.expect
    const patienceMs = tcpEnds === false ? PATIENCE_MS : tcpEnds + GRACE_MS
    await Promise.all(
      peers.map((peer) =>
        peer.until(() => peer.came.ended || isComplete(peer.came, one.expect), patienceMs)
      )
    )
    const ms = Math.round(performance.now() - since)
    if (one.expect.nextServed === true) {
      const served = await isServed(locate('echo'))
      for (const { came } of peers) came.nextServed = served
    }
    const wrong = new Set(peers.flatMap(({ came }) => judge(came, one.expect)))
    let came = inWords(peers.map(({ came }) => came))
    const limit = one.expect.serverGrowsBelowMib
    if (limit !== undefined && weigh !== undefined) {
      const grown = await weigh()
      came += `, the server at ${Math.round(grown)} MiB over its start`
      if (grown >= limit) wrong.add(`less than ${limit} MiB expected`)
    }
    return {
      name: one.name,
      came,
      ms,
      slowestEchoMs: one.alone === true ? await slowestEchoMs() : undefined,
      wrong: [...wrong],
      skipped: false
    }
  } catch (error) {
    if (!(error instanceof NotSpoken)) throw error
    return {
      name: one.name,
      came: error.message,
      ms: 0,
      slowestEchoMs: undefined,
      wrong: [],
      skipped: true
    }
  } finally {
    for (const peer of peers) peer.destroy()
  }
}

/** A good peer gets its echo. */
async function isServed (address: Address): Promise<boolean> {
  const peer = new Peer(address)
  try {
    await peer.perform([open, text('still there'), untilEchoes(1)])
    return peer.came.messages[0] === 'still there'
  } finally {
    peer.destroy()
  }
}

function inWords (all: readonly Came[]): string {
  if (all.length === 1) return describe(all[0] as Came)
  const counts = new Map<string, number>()
  for (const came of all) {
    const words = describe(came)
    counts.set(words, (counts.get(words) ?? 0) + 1)
  }
  return Array.from(counts, ([words, count]) => `${count} × (${words})`).join(', ')
}
