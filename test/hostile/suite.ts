import { describe, isComplete, judge, type Case, type Received } from './case.ts'
import { text } from './bytes.ts'
import { NotSupported, Peer, type Address } from './peer.ts'
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
  /** Describes what the peers received. */
  readonly received: string
  /** The time from the last step until everything had arrived. */
  readonly ms: number
  /** The longest wait of the bystander during a case that runs alone. */
  readonly slowestEchoMs: number | undefined
  /** The differences from the expectation. Empty when there is none. */
  readonly wrong: readonly string[]
  readonly skipped: boolean
}

/** The server under attack. */
export interface Target {
  readonly locate: (endpoint: NonNullable<Case['to']>) => Address
  /**
   * The largest growth of the server's memory over its start, in MiB, since the last call.
   * Undefined when the server does not report it.
   */
  readonly weigh?: () => Promise<number>
  /** The longest wait of the bystander since the last call. */
  readonly slowestEchoMs: () => Promise<number>
}

const AT_ONCE = 12
/** The time for everything to arrive on a connection that must stay open. */
const PATIENCE_MS = 5000
/** The extra time to see what a server that is too slow does. */
const GRACE_MS = 250

/**
 * Runs all cases, the light ones side by side, those with a known fault last. Passes each result to
 * `onResult` in the order of the cases. `onHealthy` is awaited before those with a known fault.
 */
export async function runSuite (
  cases: readonly Case[],
  target: Target,
  onResult: (result: Result, one: Case) => void,
  onHealthy: () => Promise<void>
): Promise<Result[]> {
  const results: Array<Result | undefined> = cases.map(() => undefined)
  let reported = 0
  const run = async (i: number): Promise<void> => {
    results[i] = await runCase(cases[i] as Case, target)
    for (; results[reported] !== undefined; reported++) {
      onResult(results[reported] as Result, cases[reported] as Case)
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
        peer.until(() => peer.received.ended || isComplete(peer.received, one.expect), patienceMs)
      )
    )
    const ms = Math.round(performance.now() - since)
    if (one.expect.nextServed === true) {
      const served = await isServed(locate('echo'))
      for (const { received } of peers) received.nextServed = served
    }
    const wrong = new Set(peers.flatMap(({ received }) => judge(received, one.expect)))
    let received = inWords(peers.map(({ received }) => received))
    const limit = one.expect.serverGrowsBelowMib
    if (limit !== undefined && weigh !== undefined) {
      const grown = await weigh()
      received += `, the server at ${Math.round(grown)} MiB over its start`
      if (grown >= limit) wrong.add(`less than ${limit} MiB expected`)
    }
    return {
      name: one.name,
      received,
      ms,
      slowestEchoMs: one.alone === true ? await slowestEchoMs() : undefined,
      wrong: [...wrong],
      skipped: false
    }
  } catch (error) {
    if (!(error instanceof NotSupported)) throw error
    return {
      name: one.name,
      received: error.message,
      ms: 0,
      slowestEchoMs: undefined,
      wrong: [],
      skipped: true
    }
  } finally {
    for (const peer of peers) peer.destroy()
  }
}

/** Resolves with true when a well-behaved peer gets its echo. */
async function isServed (address: Address): Promise<boolean> {
  const peer = new Peer(address)
  try {
    await peer.perform([open, text('still there'), untilEchoes(1)])
    return peer.received.messages[0] === 'still there'
  } finally {
    peer.destroy()
  }
}

function inWords (all: readonly Received[]): string {
  if (all.length === 1) return describe(all[0] as Received)
  const counts = new Map<string, number>()
  for (const received of all) {
    const words = describe(received)
    counts.set(words, (counts.get(words) ?? 0) + 1)
  }
  return Array.from(counts, ([words, count]) => `${count} × (${words})`).join(', ')
}
