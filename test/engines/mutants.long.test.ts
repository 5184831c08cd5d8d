import { writeFile } from 'node:fs/promises'
import { connect } from '@nats-io/transport-node'
import t, { type Test } from 'tap'
import { natsEngine } from '../../src/engines/nats-engine.ts'
import { redisEngine } from '../../src/engines/redis-engine.ts'
import {
  engineConformance,
  MemoryNetwork,
  type EngineHarness
} from '../../src/testing/engines/index.ts'
import { startNats, startRedis } from '../helpers/brokers.ts'
import { skipWithout } from '../helpers/browser.ts'
import { connectAdmin, REDIS_CLIENTS } from '../helpers/redis-clients.ts'
import type { Teardown } from '../helpers/server.ts'
import {
  breakEngine,
  MEMORY_MUTANTS,
  NATS_MUTANTS,
  REDIS_MUTANTS,
  type Mutant
} from './broken-engines.ts'

t.jobs = 3

void t.test('broken engines over a memory network fail the suite', (t) => {
  testMutants(t, MEMORY_MUTANTS, async () => {
    const network = new MemoryNetwork()
    return {
      createEngine: () => network.createEngine(),
      restartBroker: async () => {
        network.goDown()
        network.goUp()
      }
    }
  })
  t.end()
})

void t.test(
  'broken engines over Redis fail the suite',
  { skip: skipWithout('redis-server') },
  (t) => {
    testMutants(t, REDIS_MUTANTS, async (t) => {
      const broker = await startRedis(t)
      const client = REDIS_CLIENTS[0]?.create(broker.port)
      const ask = async (...command: string[]): Promise<void> => {
        await (await connectAdmin(t, broker.port)).ask(...command)
      }
      return {
        createEngine: () => redisEngine(client as never),
        restartBroker: () => broker.restart(),
        freezeBroker: () => broker.freeze(),
        thawBroker: () => broker.thaw(),
        allowOnly: (topic) =>
          ask('ACL', 'SETUSER', 'default', 'resetchannels', `&websock:${topic}`),
        allowAll: () => ask('ACL', 'SETUSER', 'default', 'allchannels')
      }
    })
    t.end()
  }
)

void t.test(
  'broken engines over NATS fail the suite',
  { skip: skipWithout('nats-server') },
  (t) => {
    testMutants(t, NATS_MUTANTS, async (t) => {
      const write = (folder: string, subject: string): Promise<void> =>
        writeFile(
          `${folder}/server.conf`,
          'no_auth_user: all, authorization: { users: [ { user: all, password: all, ' +
            `permissions: { subscribe: "${subject}" } } ] }`
        )
      const broker = await startNats(t, ['--config', 'server.conf'], (folder) => write(folder, '>'))
      const allow = async (subject: string): Promise<void> => {
        await write(broker.folder, subject)
        await broker.reload(/Reloaded server configuration/)
      }
      return {
        createEngine: async () => {
          // nats-server may leave a client that connects during a reload without an answer.
          const connection = await connect({
            port: broker.port,
            maxReconnectAttempts: -1,
            reconnectTimeWait: 50,
            timeout: 5000,
            waitOnFirstConnect: true
          })
          t.teardown(() => connection.close())
          return natsEngine(connection)
        },
        allowOnly: (topic) => allow(`websock.${topic}`),
        allowAll: () => allow('>')
      }
    })
    t.end()
  }
)

function testMutants (
  t: Test,
  mutants: readonly Mutant[],
  createHarness: (t: Teardown) => Promise<EngineHarness>
): void {
  // Each engine has its own broker, and some wait for a time limit of the suite.
  t.jobs = 4
  for (const { what, fails, broken } of mutants) {
    void t.test(`an engine that ${what}`, async (t) => {
      const cases = engineConformance.filter(({ name }) => fails.test(name))
      t.ok(cases.length > 0, 'the suite has a case with that name')
      const harness = await createHarness(t)
      const failures: string[] = []
      for (const { name, run } of cases) {
        await run(harness)
        await run({
          ...harness,
          createEngine: async () => breakEngine(await harness.createEngine(), broken)
        }).catch(() => failures.push(name))
      }
      t.ok(failures.length > 0, `fails: ${cases.map(({ name }) => name).join('; ')}`)
    })
  }
}
