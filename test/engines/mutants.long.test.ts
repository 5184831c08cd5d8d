import { writeFile } from 'node:fs/promises'
import { connect } from '@nats-io/transport-node'
import t, { type Test } from 'tap'
import { natsEngine } from '../../src/engines/nats-engine.ts'
import { redisEngine } from '../../src/engines/redis-engine.ts'
import type { Engine, EngineListener } from '../../src/pubsub/engine.ts'
import {
  engineConformance,
  MemoryNetwork,
  type EngineHarness
} from '../../src/testing/engines/index.ts'
import { startNats, startRedis } from '../helpers/brokers.ts'
import { skipWithout } from '../helpers/browser.ts'
import { connectAdmin, REDIS_CLIENTS } from '../helpers/redis-clients.ts'
import type { Teardown } from '../helpers/server.ts'

/**
 * A broken engine: what is wrong with it, and in the name of a case of the suite that has to fail
 * on it.
 */
interface Mutant {
  readonly what: string
  readonly fails: RegExp
  readonly broken: (engine: Engine) => Partial<Engine>
}

/** The engine's `start`, with a listener that hands on all but what is replaced. */
function listening (
  engine: Engine,
  replace: (listener: EngineListener) => Partial<EngineListener>
): Partial<Engine> {
  return {
    start: (listener) => {
      const whole: EngineListener = {
        receive: (topic, payload) => listener.receive(topic, payload),
        up: () => listener.up(),
        down: (reason, silentMs) => listener.down(reason, silentMs),
        dropped: (topic, reason, silentMs) => listener.dropped(topic, reason, silentMs)
      }
      return engine.start({ ...whole, ...replace(whole) })
    }
  }
}

const MEMORY_MUTANTS: readonly Mutant[] = [
  {
    what: 'delivers some publications twice',
    fails: /each subscriber gets each publication once/,
    broken: (engine) => {
      let n = 0
      return listening(engine, ({ receive }) => ({
        receive: (topic, payload) => {
          for (let left = n++ % 50 === 0 ? 2 : 1; left > 0; left--) receive(topic, payload)
        }
      }))
    }
  },
  {
    what: 'loses some publications',
    fails: /each subscriber gets each publication once/,
    broken: (engine) => {
      let n = 0
      return {
        publish: async (topic, payload) => {
          if (n++ % 500 !== 7) await engine.publish(topic, payload)
        }
      }
    }
  },
  {
    what: 'changes the order of publications',
    fails: /each subscriber gets each publication once/,
    broken: (engine) => {
      const held: Array<() => void> = []
      let n = 0
      return listening(engine, ({ receive }) => ({
        receive: (topic, payload) => {
          // Of each publisher and topic some come before it.
          if (n % 100 === 7) held.push(() => receive(topic, payload))
          else receive(topic, payload)
          if (n++ % 100 === 57) held.pop()?.()
        }
      }))
    }
  },
  {
    what: 'takes payloads for text',
    fails: /bytes of any value arrives unchanged/,
    broken: (engine) => ({
      publish: (topic, payload) =>
        engine.publish(topic, Buffer.from(Buffer.from(payload).toString()))
    })
  },
  {
    what: 'publishes the whole buffer behind a view',
    fails: /a view into a larger buffer/,
    broken: (engine) => ({
      publish: (topic, { buffer }) => engine.publish(topic, new Uint8Array(buffer as ArrayBuffer))
    })
  },
  {
    what: 'hands over bytes that it writes to later',
    fails: /of 0 to 256 bytes of any value arrives unchanged/,
    broken: (engine) => {
      const shared = new Uint8Array(1024)
      return listening(engine, ({ receive }) => ({
        receive: (topic, payload) => {
          shared.set(payload)
          receive(topic, shared.subarray(0, payload.length))
        }
      }))
    }
  },
  {
    what: 'delivers its own publications within publish',
    fails: /never within publish/,
    broken: (engine) => {
      let told: EngineListener | undefined
      return {
        ...listening(engine, (listener) => {
          told = listener
          return {}
        }),
        publish: (topic, payload) => {
          told?.receive(topic, payload)
          return engine.publish(topic, payload)
        }
      }
    }
  },
  {
    what: 'makes one topic of two that differ in case',
    fails: /topics of any characters/,
    broken: (engine) => ({
      subscribe: (topic) => engine.subscribe(topic.toLowerCase()),
      publish: (topic, payload) => engine.publish(topic.toLowerCase(), payload)
    })
  },
  {
    what: 'cuts long topics',
    fails: /topics of any characters/,
    broken: (engine) => ({
      subscribe: (topic) => engine.subscribe(topic.slice(0, 1_000)),
      publish: (topic, payload) => engine.publish(topic.slice(0, 1_000), payload)
    })
  },
  {
    what: 'does not unsubscribe',
    fails: /one unsubscribe ends it/,
    broken: () => ({ unsubscribe: async () => {} })
  },
  {
    what: 'counts subscriptions',
    fails: /one unsubscribe ends it/,
    broken: (engine) => {
      const counts = new Map<string, number>()
      return {
        subscribe: (topic) => {
          counts.set(topic, (counts.get(topic) ?? 0) + 1)
          return engine.subscribe(topic)
        },
        unsubscribe: async (topic) => {
          counts.set(topic, (counts.get(topic) ?? 0) - 1)
          if (counts.get(topic) === 0) await engine.unsubscribe(topic)
        }
      }
    }
  },
  {
    what: 'rejects unsubscribe for what is not subscribed',
    fails: /unsubscribe of a topic that is not subscribed does nothing/,
    broken: (engine) => {
      const topics = new Set<string>()
      return {
        subscribe: (topic) => engine.subscribe(topic).then(() => { topics.add(topic) }),
        unsubscribe: async (topic) => {
          if (!topics.delete(topic)) throw new Error('not subscribed')
        }
      }
    }
  },
  {
    what: 'is confirmed before it subscribes',
    fails: /a payload may be a view|the last call decides/,
    broken: (engine) => ({
      subscribe: async (topic) => {
        setTimeout(() => {
          engine.subscribe(topic).catch(() => {})
        }, 50)
      }
    })
  },
  {
    what: 'does not tell that the broker went',
    fails: /calls down and up by turns/,
    broken: (engine) => listening(engine, () => ({ down: () => {} }))
  },
  {
    what: 'does not tell that the broker is back',
    fails: /calls down and up by turns/,
    broken: (engine) => {
      let isFirst = true
      return listening(engine, ({ up }) => ({
        up: () => {
          if (isFirst) up()
          isFirst = false
        }
      }))
    }
  },
  {
    what: 'subscribes by itself after an outage',
    fails: /after up only topics that are subscribed again deliver/,
    broken: (engine) => {
      const topics = new Set<string>()
      return {
        ...listening(engine, ({ up }) => ({
          up: () => {
            up()
            for (const topic of topics) engine.subscribe(topic).catch(() => {})
          }
        })),
        subscribe: (topic) => {
          topics.add(topic)
          return engine.subscribe(topic)
        }
      }
    }
  },
  {
    what: 'resolves publish while the broker is gone',
    fails: /while the broker is gone, subscribe, unsubscribe and publish reject/,
    broken: (engine) => ({
      publish: (topic, payload) => engine.publish(topic, payload).catch(() => {})
    })
  },
  {
    what: 'keeps publications until the broker is back',
    fails: /while the broker is gone, subscribe, unsubscribe and publish reject/,
    broken: (engine) => {
      const waiting: Array<() => void> = []
      return {
        ...listening(engine, ({ up }) => ({
          up: () => {
            up()
            for (const send of waiting.splice(0)) send()
          }
        })),
        publish: (topic, payload) =>
          engine.publish(topic, payload).catch(() => {
            waiting.push(() => {
              engine.publish(topic, payload).catch(() => {})
            })
          })
      }
    }
  },
  {
    what: 'takes a second listener',
    fails: /a second start rejects/,
    broken: (engine) => {
      let isStarted = false
      return {
        start: async (listener) => {
          if (!isStarted) {
            isStarted = true
            await engine.start(listener)
          }
        }
      }
    }
  },
  {
    what: 'does not stop',
    fails: /the listener is not called after it/,
    broken: () => ({ stop: async () => {} })
  }
]

const REDIS_MUTANTS: readonly Mutant[] = [
  {
    what: 'does not notice that the broker is silent',
    fails: /calls down within 10 s after the broker freezes/,
    broken: (engine) =>
      listening(engine, ({ down }) => ({
        down: (reason, silentMs) => {
          if (!/does not answer/.test(String(reason))) down(reason, silentMs)
        }
      }))
  },
  {
    what: 'notices a silent broker too late',
    fails: /calls down within 10 s after the broker freezes/,
    broken: (engine) =>
      listening(engine, ({ down }) => ({
        down: (reason, silentMs) => { setTimeout(down, 5_000, reason, silentMs) }
      }))
  },
  {
    what: 'does not tell for how long the broker was silent',
    fails: /calls down within 10 s after the broker freezes/,
    broken: (engine) => listening(engine, ({ down }) => ({ down: (reason) => down(reason) }))
  },
  {
    what: 'leaves calls open when the broker goes',
    fails: /calls that are pending when the broker goes are settled at down/,
    broken: (engine) => ({
      subscribe: (topic) =>
        engine.subscribe(topic)
          .catch((error: Error) =>
            /has lost/.test(error.message) ? new Promise(() => {}) : Promise.reject(error)
          )
    })
  },
  {
    what: 'takes a refused subscription for one that is in force',
    fails: /reject for topics that the broker refuses/,
    broken: (engine) => ({ subscribe: (topic) => engine.subscribe(topic).catch(() => {}) })
  },
  {
    what: 'takes a refused publication for one that is on its way',
    fails: /reject for topics that the broker refuses/,
    broken: (engine) => ({
      publish: (topic, payload) => engine.publish(topic, payload).catch(() => {})
    })
  }
]

const NATS_MUTANTS: readonly Mutant[] = [
  {
    what: 'does not tell that a subscription was ended',
    fails: /calls dropped or down when a permission is withdrawn/,
    broken: (engine) => listening(engine, () => ({ dropped: () => {} }))
  }
]

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
          `no_auth_user: all, authorization: { users: [ { user: all, password: all, permissions: { subscribe: "${subject}" } } ] }`
        )
      const broker = await startNats(t, ['--config', 'server.conf'], (folder) => write(folder, '>'))
      const allow = async (subject: string): Promise<void> => {
        await write(broker.folder, subject)
        await broker.reload(/Reloaded server configuration/)
      }
      return {
        createEngine: async () => {
          const connection = await connect({
            port: broker.port,
            maxReconnectAttempts: -1,
            reconnectTimeWait: 50
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
  // Each has a broker of its own, and some wait until the suite gives up.
  t.jobs = 4
  for (const { what, fails, broken } of mutants) {
    void t.test(`one that ${what}`, async (t) => {
      const cases = engineConformance.filter(({ name }) => fails.test(name))
      t.ok(cases.length > 0, 'there is such a case')
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

function breakEngine (engine: Engine, broken: Mutant['broken']): Engine {
  return {
    name: engine.name,
    maxPayloadBytes: engine.maxPayloadBytes,
    start: (listener) => engine.start(listener),
    subscribe: (topic) => engine.subscribe(topic),
    unsubscribe: (topic) => engine.unsubscribe(topic),
    publish: (topic, payload) => engine.publish(topic, payload),
    stop: () => engine.stop(),
    ...broken(engine)
  }
}
