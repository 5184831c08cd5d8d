import t from 'tap'
import { skipWithout } from '../helpers/browser.ts'
import { FaultyCluster } from '../helpers/cluster-faults.ts'
import { judge } from '../helpers/cluster-verdict.ts'
import { FAULTY_BROKERS } from '../helpers/faulty-brokers.ts'
import { FUZZ_SEED, pick, randomFrom } from '../helpers/random.ts'

// CLUSTER_SECONDS=120 runs the test for as long as the figures in docs/engines.md need, and also
// over Redis Cluster, whose fail-overs take half a minute each. FUZZ_SEED repeats a run.
const SECONDS = Number(process.env['CLUSTER_SECONDS'] ?? 0)
/** The time between two faults. */
const PERIOD_MS = SECONDS < 60 ? 1_000 : 5_000
const NODES = 3
const CLIENTS = 300
const PRESENCE_MS = 5_000
/** A pause that is long enough to be noticed. */
const LONG_MS = 8_000
const SHORT_MS = 2_000

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

for (const [name, [program, startBroker]] of Object.entries(FAULTY_BROKERS)) {
  if (SECONDS === 0 && /cluster/i.test(name)) continue
  void t.test(
    `over ${name}: publications between faults arrive once, in order; losses are reported`,
    { skip: skipWithout(program), timeout: 2 * SECONDS * 1000 + 180_000 },
    async (t) => {
      const broker = await startBroker(t, wait)
      const random = randomFrom(FUZZ_SEED)
      const cluster = new FaultyCluster(t, broker, CLIENTS)
      await cluster.start(NODES)
      const noticed: number[] = []
      const faults = {
        'a node is killed': () => cluster.killNode(random(NODES)),
        'a node is paused': () => cluster.pauseNode(random(NODES), SHORT_MS + random(SHORT_MS)),
        'the broker is killed': () => cluster.withBroker((broker) => broker.restart(), true),
        'the broker is paused': () =>
          cluster.withBroker((broker) => broker.pause(LONG_MS + random(SHORT_MS)), true),
        'the broker is paused for a moment': () =>
          cluster.withBroker((broker) => broker.pause(random(SHORT_MS)), false),
        'a node is cut off': async () => {
          noticed.push(await cluster.cutOff(random(NODES), LONG_MS + random(SHORT_MS)))
        }
      }
      const waiting = Object.keys(faults) as Array<keyof typeof faults>
      const end = Date.now() + SECONDS * 1000
      const took: string[] = []
      while (waiting.length > 0 || Date.now() < end) {
        await cluster.run(PERIOD_MS)
        // First each fault once, then random faults.
        const fault =
          waiting.length > 0
            ? (waiting.splice(random(waiting.length), 1)[0] as keyof typeof faults)
            : pick(random, Object.keys(faults) as Array<keyof typeof faults>)
        await faults[fault]()
        const presenceMs = await cluster.presenceIsRight()
        took.push(`${fault} ${presenceMs}`)
        t.ok(presenceMs < PRESENCE_MS, `presence is right ${presenceMs} ms after a fault`)
      }
      await cluster.run(PERIOD_MS)
      await cluster.stop()
      const verdict = judge(cluster)
      t.comment(
        `${name}, seed ${FUZZ_SEED}: ${JSON.stringify(verdict)}; cut off, noticed after ` +
        `${noticed.join(', ')} ms; presence was right after: ${took.join(', ')} ms`
      )
      t.match(verdict, { missing: 0, twice: 0, outOfOrder: 0, unreported: 0 })
      t.ok(verdict.expected > CLIENTS * 30, `${verdict.expected} publications are enough`)
      t.ok(verdict.lost > 0, 'some publications were lost')
    }
  )
}
