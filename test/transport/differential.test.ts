import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  perform,
  startServers,
  type Kind,
  type Outcome,
  type Script
} from '../helpers/differential.ts'
import { buildScript } from '../helpers/random-streams.ts'
import { FUZZ_SEED, randomFrom } from '../helpers/random.ts'
import { LONG } from '../helpers/scale.ts'

/*
 * Sends random streams in random pieces to a server of this library and to a server of ws. Both
 * have the same handler, and must have the same calls, the same end and the same sent bytes.
 * Intended differences:
 *
 * - A protocol error in the packet of the FIN (`hasty`): this library sends a close frame with the
 *   code, ws sends none.
 * - A peer that reads nothing and sends more than `maxMessageBytes` after the close frame of the
 *   server (`stuck` and `small`): this library disconnects it, so it gets only the first part of
 *   the bytes that ws sends.
 * - A socket that fails (`rough`): the sent bytes are not compared.
 */

// `FUZZ_TRIAL=1234` repeats trial 1234. `DIFFERENTIAL_TRIALS=10000` sets the number of trials.
const TRIALS = Number(process.env.DIFFERENTIAL_TRIALS ?? (LONG ? 2000 : 300))
const ONLY = process.env.FUZZ_TRIAL
const AT_ONCE = 32

t.setTimeout(Math.max(180_000, TRIALS * 40))

const read = (name: string): Buffer => readFileSync(join(__dirname, '../fixtures', name))

for (const [name, trials, tls] of [
  ['TCP', TRIALS, undefined],
  ['TLS', TRIALS / 4, { key: read('localhost-key.pem'), cert: read('localhost-cert.pem') }]
] as const) {
  void t.test(`random streams over ${name} have the same results as with ws`, async (t) => {
    const servers = await startServers(t, tls)
    const counts = { trials: 0, seen: 0, bytes: 0 }
    const ends: Record<string, number> = {}
    const failed: number[] = []
    let next = Number(ONLY ?? 0)
    const last = ONLY === undefined ? trials : next + 1
    const work = async (): Promise<void> => {
      while (next < last && failed.length < 5) {
        const n = next++
        const cleanups: Array<() => unknown> = []
        const own = { teardown: (cleanup: () => unknown) => { cleanups.push(cleanup) } }
        try {
          const script = buildScript(randomFrom(FUZZ_SEED * 31 + n), tls !== undefined)
          const run = (kind: Kind) => perform(own, servers, script, `${n}`, kind)
          const [ours, ws] = await Promise.all([run('ours'), run('ws')])
          counts.trials++
          counts.seen += ws.seen.length
          counts.bytes += ws.wire.length
          const end = ws.ended.join().slice(0, 11)
          ends[end] = (ends[end] ?? 0) + 1
          const same = sentSameBytes(ours, ws, script) &&
            JSON.stringify([ours.seen, ours.ended]) === JSON.stringify([ws.seen, ws.ended])
          if (same) continue
          failed.push(n)
          explain(t, n, ours, ws)
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
}

/** True for the same sent bytes, except for the intended differences. */
function sentSameBytes (ours: Outcome, ws: Outcome, script: Script): boolean {
  const { hasty, rough, small, stuck } = script
  if (rough !== undefined) return true
  const [own, other] = [frames(ours), frames(ws)]
  const rest = own.subarray(other.length)
  if (own.length < other.length) return stuck && small && other.subarray(0, own.length).equals(own)
  if (!own.subarray(0, other.length).equals(other)) return false
  return rest.length === 0 || (hasty && ours.ended.join() === `error ${codeOfClose(rest)}`)
}

/** The code of bytes that are a close frame with nothing but a code. */
function codeOfClose (bytes: Buffer): number | undefined {
  return bytes.length === 4 && bytes.readUInt16BE() === 0x8802 ? bytes.readUInt16BE(2) : undefined
}

/** The bytes after the 101. */
const frames = ({ wire }: Outcome): Buffer => wire.subarray(wire.indexOf('\r\n\r\n') + 4)

/** Reports the first difference. */
function explain (t: Test, n: number, ours: Outcome, ws: Outcome): void {
  const list = ({ seen, ended, wire }: Outcome): string[] =>
    [...seen, ...ended, '', ...words(wire), `${wire.length}`].map((line) =>
      line.length > 60 ? `${line.slice(0, 60)}… ${line.length}` : line
    )
  const [left, right] = [list(ours), list(ws)]
  const from = Math.max(0, left.findIndex((line, i) => line !== right[i]) - 2)
  t.same(
    left.slice(from, from + 8),
    right.slice(from, from + 8),
    `FUZZ_SEED=${FUZZ_SEED} FUZZ_TRIAL=${n}`
  )
  t.ok(
    frames(ours).equals(frames(ws)),
    `the sent bytes, FUZZ_SEED=${FUZZ_SEED} FUZZ_TRIAL=${n}`
  )
}

function words (wire: Buffer): string[] {
  const list: string[] = []
  for (let at = wire.indexOf('\r\n\r\n') + 4; at >= 4 && at + 2 <= wire.length;) {
    const short = wire[at + 1] as number
    const head = short < 126 ? 2 : short === 126 ? 4 : 10
    const length =
      short < 126
        ? short
        : short === 126
          ? wire.readUInt16BE(at + 2)
          : Number(wire.readBigUInt64BE(at + 2))
    list.push(
      `${(wire[at] as number).toString(16)} ` +
        wire.toString('latin1', at + head, at + head + length)
    )
    at += head + length
  }
  return list
}
