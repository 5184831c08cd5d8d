import t, { type Test } from 'tap'
import { buildScript, perform, startLanes, type Outcome } from './helpers/lane.ts'
import { FUZZ_SEED, randomFrom } from './helpers/random.ts'

// `FUZZ_TRIAL=1234` repeats the one that failed, `LANE_TRIALS=100000` makes more of them.
const TRIALS = Number(process.env.LANE_TRIALS ?? 1500)
const ONLY = process.env.FUZZ_TRIAL
const AT_ONCE = 32

t.setTimeout(Math.max(60_000, TRIALS * 20))

void t.test('whatever is sent, it comes to the same with the fast lane and without', async (t) => {
  const lanes = await startLanes(t)
  const counts = { trials: 0, seen: 0, bytes: 0 }
  const ends: Record<string, number> = {}
  const failed: number[] = []
  let next = Number(ONLY ?? 0)
  const last = ONLY === undefined ? TRIALS : next + 1
  const work = async (): Promise<void> => {
    while (next < last && failed.length < 5) {
      const n = next++
      const cleanups: Array<() => unknown> = []
      const own = { teardown: (cleanup: () => unknown) => { cleanups.push(cleanup) } }
      try {
        const script = buildScript(randomFrom(FUZZ_SEED * 31 + n))
        const run = (lane: 'on' | 'off') => perform(own, lanes, script, `${n}`, lane)
        const [on, off] = await Promise.all([run('on'), run('off')])
        counts.trials++
        counts.seen += off.seen.length
        counts.bytes += off.wire.length
        const end = off.ended.join().slice(0, 11)
        ends[end] = (ends[end] ?? 0) + 1
        const same = (script.rough !== undefined || on.wire.equals(off.wire)) && JSON.stringify([on.seen, on.ended]) === JSON.stringify([off.seen, off.ended])
        if (same) continue
        failed.push(n)
        explain(t, n, on, off)
      } catch (error) {
        failed.push(n)
        t.fail(`FUZZ_SEED=${FUZZ_SEED} FUZZ_TRIAL=${n}: ${String(error)}`)
      } finally {
        for (const cleanup of cleanups) cleanup()
      }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  t.same(failed, [])
  t.comment(`seed ${FUZZ_SEED}: ${JSON.stringify(counts)}, ends ${JSON.stringify(ends)}`)
})

/** Shows where they begin to differ. */
function explain (t: Test, n: number, on: Outcome, off: Outcome): void {
  const list = ({ seen, ended, wire }: Outcome): string[] => [...seen, ...ended, '', ...words(wire), `${wire.length}`]
    .map((line) => line.length > 60 ? `${line.slice(0, 60)}… ${line.length}` : line)
  const [left, right] = [list(on), list(off)]
  const from = Math.max(0, left.findIndex((line, i) => line !== right[i]) - 2)
  t.same(left.slice(from, from + 8), right.slice(from, from + 8), `FUZZ_SEED=${FUZZ_SEED} FUZZ_TRIAL=${n}`)
  t.ok(on.wire.equals(off.wire), `the bytes on the wire, FUZZ_SEED=${FUZZ_SEED} FUZZ_TRIAL=${n}`)
}

function words (wire: Buffer): string[] {
  const list: string[] = []
  for (let at = wire.indexOf('\r\n\r\n') + 4; at >= 4 && at + 2 <= wire.length;) {
    const short = wire[at + 1] as number
    const head = short < 126 ? 2 : short === 126 ? 4 : 10
    const length = short < 126 ? short : short === 126 ? wire.readUInt16BE(at + 2) : Number(wire.readBigUInt64BE(at + 2))
    list.push(`${(wire[at] as number).toString(16)} ${wire.toString('latin1', at + head, at + head + length)}`)
    at += head + length
  }
  return list
}
