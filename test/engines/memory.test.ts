import t from 'tap'
import type { Engine } from '../../src/pubsub/engine.ts'
import { MemoryNetwork } from '../../src/testing/engines/index.ts'
import { runConformance } from '../helpers/conformance.ts'

void t.test('a memory network conforms', (t) => {
  const network = new MemoryNetwork()
  runConformance(t, {
    createEngine: () => network.createEngine(),
    restartBroker: async () => {
      network.goDown()
      network.goUp()
    }
  })
  t.end()
})

void t.test('one engine alone is cut off and comes back', async (t) => {
  const network = new MemoryNetwork()
  const [a, b] = [await startEngine(network), await startEngine(network)]
  await Promise.all([a, b].map(({ engine }) => engine.subscribe('topic')))
  network.goDown(a.engine)
  t.same([a.calls, b.calls], [['up', 'down'], ['up']])
  await t.rejects(a.engine.publish('topic', Uint8Array.of(1)), {
    code: 'FST_WEBSOCK_ENGINE_DOWN',
    message: /lost its broker|not connected/
  })
  await b.engine.publish('topic', Uint8Array.of(2))
  network.goUp(a.engine)
  await b.engine.publish('topic', Uint8Array.of(3))
  await a.engine.subscribe('topic')
  await b.engine.publish('topic', Uint8Array.of(4))
  t.same([a.calls, b.calls], [['up', 'down', 'up', 4], ['up', 2, 3, 4]])
})

void t.test('an engine that starts without the network is up when the network is', async (t) => {
  const network = new MemoryNetwork()
  network.goDown()
  const calls: unknown[] = []
  const engine = network.createEngine()
  await engine.start({
    receive: () => {},
    up: () => calls.push('up'),
    down: () => calls.push('down'),
    dropped: () => {}
  })
  network.goUp(engine)
  t.same(calls, [])
  network.goUp()
  network.goUp()
  t.same(calls, ['up'])
  network.goDown(engine, 'why')
  network.goDown()
  t.same(calls, ['up', 'down'])
})

async function startEngine (network: MemoryNetwork): Promise<{ engine: Engine, calls: unknown[] }> {
  const engine = network.createEngine()
  const calls: unknown[] = []
  await new Promise<void>((resolve, reject) => {
    engine.start({
      receive: (_topic, [payload]) => calls.push(payload),
      up: () => { resolve(calls.push('up') as never) },
      down: () => calls.push('down'),
      dropped: () => {}
    }).catch(reject)
  })
  return { engine, calls }
}
