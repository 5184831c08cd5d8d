import { writeFile } from 'node:fs/promises'
import { connect } from '@nats-io/transport-node'
import t from 'tap'
import { natsEngine } from '../../src/engines/nats-engine.ts'
import { startNats } from '../helpers/brokers.ts'
import { skipWithout } from '../helpers/browser.ts'
import { runConformance } from '../helpers/conformance.ts'
import { forkEngines } from '../helpers/engine-process.ts'

const skip = skipWithout('nats-server')

void t.test('natsEngine conforms', { skip }, async (t) => {
  const broker = await startNats(t, ['--config', 'server.conf'], (folder) => configure(folder, '>'))
  const allow = async (subject: string): Promise<void> => {
    await configure(broker.folder, subject)
    await broker.reload(/Reloaded server configuration/)
  }
  runConformance(t, {
    createEngine: async () => {
      const connection = await connect({
        port: broker.port,
        maxReconnectAttempts: -1,
        reconnectTimeWait: 50
      })
      t.teardown(() => connection.close())
      return natsEngine(connection)
    },
    restartBroker: () => broker.restart(),
    freezeBroker: () => broker.freeze(),
    thawBroker: () => broker.thaw(),
    allowOnly: (topic) => allow(`websock.${topic}`),
    allowAll: () => allow('>'),
    engineProcess: forkEngines(t, 'nats', broker.port)
  })
})

/** Writes a configuration in which every client may use only this subject. */
async function configure (folder: string, subject: string): Promise<void> {
  await writeFile(
    `${folder}/server.conf`,
    'no_auth_user: all, authorization: { users: [ { user: all, password: all, permissions: { ' +
    `publish: "${subject}", subscribe: "${subject}" } } ] }`
  )
}
