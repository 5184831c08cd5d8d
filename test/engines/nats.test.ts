import { connect } from '@nats-io/transport-node'
import t from 'tap'
import { natsEngine } from '../../src/engines/nats-engine.ts'
import { startNats } from '../helpers/brokers.ts'
import { skipWithout } from '../helpers/browser.ts'
import { runConformance } from '../helpers/conformance.ts'
import { forkEngines } from '../helpers/engine-process.ts'

const skip = skipWithout('nats-server')

void t.test('natsEngine conforms', { skip }, async (t) => {
  const broker = await startNats(t)
  runConformance(t, {
    createEngine: async () => {
      const connection = await connect({ port: broker.port, maxReconnectAttempts: -1, reconnectTimeWait: 50 })
      t.teardown(() => connection.close())
      return natsEngine(connection)
    },
    restartBroker: () => broker.restart(),
    freezeBroker: () => broker.freeze(),
    thawBroker: () => broker.thaw(),
    engineProcess: forkEngines(t, 'nats', broker.port)
  })
})
