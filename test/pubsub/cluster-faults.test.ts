import t from 'tap'
import { startNats, startRedis } from '../helpers/brokers.ts'
import { skipWithout } from '../helpers/browser.ts'
import { FaultyCluster, judge } from '../helpers/cluster-faults.ts'

// CLUSTER_SECONDS=120 runs it as long as the figures in docs/engines.md say.
const SECONDS = Number(process.env['CLUSTER_SECONDS'] ?? 16)
/** Between one fault and the next. */
const PERIOD_MS = SECONDS < 60 ? 2_000 : 10_000
const NODES = 3
const CLIENTS = 300
const PRESENCE_MS = 5_000

const BROKERS = { redis: ['redis-server', startRedis], nats: ['nats-server', startNats] } as const

for (const [name, [program, startBroker]] of Object.entries(BROKERS)) {
  void t.test(`over ${name}: nodes die, stand still, lose their broker, and what is published while all is well arrives once and in order`, { skip: skipWithout(program), timeout: 2 * SECONDS * 1000 + 60_000 }, async (t) => {
    const broker = await startBroker(t)
    const cluster = new FaultyCluster(t, { name, port: broker.port }, CLIENTS)
    await cluster.start(NODES)
    const faults = [
      async () => cluster.kill(0),
      async () => cluster.without(() => broker.restart()),
      async () => cluster.pause(1, 5_000),
      async () => cluster.kill(2)
    ]
    const end = Date.now() + SECONDS * 1000
    const took: number[] = []
    for (let fault = 0; Date.now() < end || fault < faults.length; fault++) {
      await cluster.run(PERIOD_MS)
      // The broker is restarted once.
      await (fault < faults.length || fault % faults.length !== 1 ? faults[fault % faults.length] : faults[0])?.()
      took.push(await cluster.presenceIsRight())
    }
    await cluster.run(PERIOD_MS)
    await cluster.stop()
    const verdict = judge(cluster)
    t.comment(`${name}: ${JSON.stringify(verdict)}; presence was right ${took.join(', ')} ms after each fault`)
    t.match(verdict, { missing: 0, twice: 0, outOfOrder: 0 })
    t.ok(verdict.expected > CLIENTS * SECONDS * NODES, `${verdict.expected} are enough to tell`)
    for (const ms of took) t.ok(ms < PRESENCE_MS, `presence is right ${ms} ms after a fault`)
  })
}
