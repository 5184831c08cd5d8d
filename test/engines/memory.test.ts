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
  t.same([a.told, b.told], [['up', 'down'], ['up']])
  await t.rejects(a.engine.publish('topic', Uint8Array.of(1)), {
    code: 'FST_WEBSOCK_ENGINE_DOWN',
    message: /lost its broker|not connected/
  })
  await b.engine.publish('topic', Uint8Array.of(2))
  network.goUp(a.engine)
  await b.engine.publish('topic', Uint8Array.of(3))
  await a.engine.subscribe('topic')
  await b.engine.publish('topic', Uint8Array.of(4))
  t.same([a.told, b.told], [['up', 'down', 'up', 4], ['up', 2, 3, 4]])
})

void t.test('a network that is down lets nobody in until it is up', async (t) => {
  const network = new MemoryNetwork()
  network.goDown()
  const told: unknown[] = []
  const engine = network.createEngine()
  await engine.start({
    receive: () => {},
    up: () => told.push('up'),
    down: () => told.push('down'),
    dropped: () => {}
  })
  network.goUp(engine)
  t.same(told, [])
  network.goUp()
  network.goUp()
  t.same(told, ['up'])
  network.goDown(engine, 'why')
  network.goDown()
  t.same(told, ['up', 'down'])
})

async function startEngine (network: MemoryNetwork): Promise<{ engine: Engine, told: unknown[] }> {
  const engine = network.createEngine()
  const told: unknown[] = []
  await new Promise<void>((resolve, reject) => {
    engine.start({
      receive: (_topic, [payload]) => told.push(payload),
      up: () => { resolve(told.push('up') as never) },
      down: () => told.push('down'),
      dropped: () => {}
    }).catch(reject)
  })
  return { engine, told }
}
