import type { Engine, EngineListener } from '../../src/pubsub/engine.ts'

/**
 * A broken engine: its fault, and a pattern for the name of the case of the suite that must fail.
 */
export interface Mutant {
  readonly what: string
  readonly fails: RegExp
  readonly broken: (engine: Engine) => Partial<Engine>
}

/** The engine's `start`, with some functions of its listener replaced. */
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

export const MEMORY_MUTANTS: readonly Mutant[] = [
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
          // It is delivered after later publications of the same publisher and topic.
          if (n % 100 === 7) held.push(() => receive(topic, payload))
          else receive(topic, payload)
          if (n++ % 100 === 57) held.pop()?.()
        }
      }))
    }
  },
  {
    what: 'treats payloads as text',
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
    what: 'passes bytes that it overwrites later',
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
      let given: EngineListener | undefined
      return {
        ...listening(engine, (listener) => {
          given = listener
          return {}
        }),
        publish: (topic, payload) => {
          given?.receive(topic, payload)
          return engine.publish(topic, payload)
        }
      }
    }
  },
  {
    what: 'ignores the case of topics',
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
    what: 'confirms a subscription before it is in force',
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
    what: 'does not report that the broker is gone',
    fails: /calls down and up by turns/,
    broken: (engine) => listening(engine, () => ({ down: () => {} }))
  },
  {
    what: 'does not report that the broker is back',
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
    what: 'accepts a second listener',
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

export const REDIS_MUTANTS: readonly Mutant[] = [
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
    what: 'does not report how long the broker was silent',
    fails: /calls down within 10 s after the broker freezes/,
    broken: (engine) => listening(engine, ({ down }) => ({ down: (reason) => down(reason) }))
  },
  {
    what: 'never settles calls that are pending when the broker goes',
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
    what: 'resolves a refused subscription',
    fails: /reject for topics that the broker refuses/,
    broken: (engine) => ({ subscribe: (topic) => engine.subscribe(topic).catch(() => {}) })
  },
  {
    what: 'resolves a refused publication',
    fails: /reject for topics that the broker refuses/,
    broken: (engine) => ({
      publish: (topic, payload) => engine.publish(topic, payload).catch(() => {})
    })
  }
]

export const NATS_MUTANTS: readonly Mutant[] = [
  {
    what: 'does not report that a subscription was ended',
    fails: /calls dropped or down when a permission is withdrawn/,
    broken: (engine) => listening(engine, () => ({ dropped: () => {} }))
  }
]

export function breakEngine (engine: Engine, broken: Mutant['broken']): Engine {
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
