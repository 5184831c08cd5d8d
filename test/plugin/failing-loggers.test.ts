import type { FastifyBaseLogger } from 'fastify'
import t from 'tap'
import { MemoryNetwork } from '../../src/testing/engines/index.ts'
import { connect } from '../helpers/client.ts'
import { ready, startNode } from '../helpers/cluster.ts'
import { startServer, type ServerOptions } from '../helpers/server.ts'

const trap = (): never => { throw new Error('trap') }
const proxy = new Proxy({}, { get: trap, ownKeys: trap, getPrototypeOf: trap })

/** Thrown values that cannot be read. */
const UNREADABLE: ReadonlyArray<readonly [name: string, thrown: unknown]> = [
  [
    'an error whose message throws',
    Object.defineProperty(new Error('x'), 'message', { get: trap })
  ],
  ['a function whose toString throws', Object.assign(() => {}, { toString: trap })],
  ['a proxy that throws', proxy],
  ['a proxy of a function that throws', new Proxy(() => {}, { get: trap })],
  ['undefined', undefined]
]

interface Faults {
  readonly child?: boolean
  readonly lines?: 'throw' | 'reject'
}

/** A logger that records its texts. */
function createLogger ({ child, lines }: Faults): { logger: FastifyBaseLogger, texts: string[] } {
  const texts: string[] = []
  const write = (_fields: unknown, text?: string): unknown => {
    texts.push(String(text))
    // Fastify logs its own lines too.
    if (!/engine|listener|websocket/.test(String(text))) return
    if (lines === 'throw') throw new Error('the logger throws')
    return lines === 'reject' ? Promise.reject(new Error('the logger rejects')) : undefined
  }
  const silent = (): void => {}
  const logger = {
    level: 'info',
    fatal: silent,
    error: write,
    warn: write,
    info: write,
    debug: silent,
    trace: silent,
    silent,
    child: () => logger
  }
  // Only for children that the library creates. Fastify creates one for each request too.
  if (child === true) {
    logger.child = ((bindings: object) => {
      if ('websocket' in bindings) throw new Error('child throws')
      return logger
    }) as never
  }
  return { logger: logger as never, texts }
}

const withSerializer = (err: (error: any) => any): ServerOptions['fastify'] => ({
  logger: { level: 'warn', serializers: { err }, stream: { write () {} } }
})

const LOGGERS: ReadonlyArray<readonly [name: string, fastify: () => ServerOptions['fastify']]> = [
  [
    'a logger that throws',
    () => ({ logger: undefined, loggerInstance: createLogger({ lines: 'throw' }).logger }) as never
  ],
  [
    'a logger that rejects',
    () => ({ logger: undefined, loggerInstance: createLogger({ lines: 'reject' }).logger }) as never
  ],
  [
    'child() that throws',
    () => ({ logger: undefined, loggerInstance: createLogger({ child: true }).logger }) as never
  ],
  ['a serializer that throws', () => withSerializer(trap)],
  [
    'a serializer that reads a missing property',
    () => withSerializer((error) => ({ code: error.cause.code }))
  ]
]

for (const [name, fastify] of LOGGERS) {
  void t.test(
    `with ${name}, a listener, an engine and a connection that fail do not stop other callbacks`,
    async (t) => {
      const network = new MemoryNetwork()
      const engine = network.createEngine()
      const { app, url } = await startServer(
        t,
        (app) => {
          app.get('/', {
            websocketHandler: {
              handleIn: ({ data }, _state, ws) => {
                const [what, thrown] = UNREADABLE[Number(data)] ?? []
                if (what !== undefined) throw thrown
                return ws.push(data)
              }
            }
          })
        },
        { websock: { engine }, fastify: fastify() as never }
      )
      const { websock } = app
      const received: unknown[] = []
      for (const [what, thrown] of UNREADABLE) {
        websock.subscribe(what, {
          handleInfo: () => {
            throw thrown
          },
          handlePresence: () => {
            throw thrown
          }
        })
        websock.subscribe(what, {
          handleInfo: async () => {
            throw thrown
          }
        })
        websock.subscribe(what, {
          handleInfo: (info) => {
            received.push(info)
          }
        })
        websock.publish(what, `${what} 1`)
        websock.track(what, 'key')
        websock.publish(what, `${what} 2`)
      }
      t.same(
        received,
        UNREADABLE.flatMap(([what]) => [`${what} 1`, `${what} 2`])
      )
      network.goDown(engine, proxy)
      network.goUp(engine)
      for (const [index] of UNREADABLE.entries()) {
        const client = await connect(t, url('/'))
        client.send(`${index}`)
        t.equal((await client.closed).code, 1011)
      }
      const client = await connect(t, url('/'))
      client.send('still here')
      t.equal(await client.next(), 'still here')
    }
  )
}

void t.test('a line with an unreadable error is still logged', async (t) => {
  const node = await startNode(t, undefined)
  node.app.websock.subscribe('r', { handleInfo: () => { throw UNREADABLE[0]?.[1] } })
  node.app.websock.publish('r', 1)
  t.match(
    node.logs.filter(({ msg }) => msg === 'a listener of a topic failed'),
    [{ level: 50, problem: 'Error: (cannot be read)' }]
  )
})

void t.test('when child() throws, the lines of a connection go to its parent', async (t) => {
  const { logger, texts } = createLogger({ child: true })
  const { url } = await startServer(t, (app) => {
    app.get('/', { websocketHandler: { handleIn: () => { throw new Error('thrown') } } })
  }, { fastify: { loggerInstance: logger, logger: undefined } as never })
  const client = await connect(t, url('/'))
  client.send('x')
  await client.closed
  t.equal(texts.filter((text) => text === 'a websocket callback failed').length, 1)
})

void t.test('local publications arrive although all calls of the engine fail', async (t) => {
  const fail = async (): Promise<never> => { throw proxy }
  const node = await startNode(t, {
    name: 'broken',
    maxPayloadBytes: 256 * 1024,
    start: async (listener) => listener.up(),
    subscribe: fail,
    unsubscribe: fail,
    publish: fail,
    stop: fail
  })
  const other = await startNode(t, new MemoryNetwork().createEngine())
  await ready(other)
  const client = await node.join('r')
  node.app.websock.publish('r', 'here')
  t.equal(await client.next(), 'info here')
  t.notOk(node.app.websock.ready())
})
