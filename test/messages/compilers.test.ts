import { Type } from '@fastify/type-provider-typebox'
import t from 'tap'
import { typed } from '../../src/index.ts'
import { ask, connect } from '../helpers/client.ts'
import { startServer } from '../helpers/server.ts'

void t.test(
  'messages are compiled with the options of the application, whatever other routes exist',
  async (t) => {
    const fastify = {
      ajv: {
        customOptions: { keywords: ['example'] },
        onCreate: (ajv: { addFormat: (name: string, format: RegExp) => void }) => {
          ajv.addFormat('email', /@corp\.example$/)
        }
      },
      serializerOpts: { rounding: 'ceil' }
    }
    for (const withHttp of [true, false]) {
      const server = await startServer(
        t,
        (app) => {
          if (withHttp) {
            app.get(
              '/other',
              {
                schema: { querystring: { type: 'object' }, response: { 200: { type: 'object' } } }
              } as never,
              () => ({})
            )
          }
          app.get('/ws', {
            schema: {
              websocket: {
                receive: {
                  type: 'object',
                  properties: {
                    to: { type: 'string', format: 'email', example: 'x' },
                    n: { type: 'integer', default: 1 }
                  }
                },
                send: {
                  type: 'object',
                  properties: { v: { type: 'integer' }, ok: { type: 'string' } }
                }
              }
            },
            websocketHandler: {
              handleIn: (
                message: unknown,
                _state: unknown,
                ws: { push: (message: unknown) => never }
              ) => ws.push({ v: 1.2, ok: JSON.stringify(message) }),
              handleInvalid: (
                _problem: unknown,
                _state: unknown,
                ws: { push: (message: unknown) => never }
              ) => ws.push({ ok: 'refused' })
            }
          } as never)
        },
        { fastify: fastify as never }
      )
      t.equal(
        await ask(t, server.url('/ws'), '{"to":"a@corp.example"}'),
        '{"v":2,"ok":"{\\"to\\":\\"a@corp.example\\"}"}',
        String(withHttp)
      )
      t.equal(await ask(t, server.url('/ws'), '{"to":"a@evil.example"}'), '{"ok":"refused"}')
      t.equal(await ask(t, server.url('/ws'), '{"n":"1"}'), '{"ok":"refused"}', 'not coerced')
    }
  }
)

void t.test('formats of the application override those of Fastify', async (t) => {
  const strict = { coerceTypes: false, useDefaults: false, removeAdditional: false }
  for (const others of [{}, strict]) {
    for (const withHttp of [true, false]) {
      const server = await startServer(
        t,
        (app) => {
          if (withHttp) {
            app.get('/other', { schema: { querystring: { type: 'object' } } } as never, () => ({}))
          }
          app.get('/ws', {
            schema: {
              websocket: {
                receive: {
                  type: 'object',
                  properties: { to: { type: 'string', format: 'email' } }
                },
                send: { type: 'boolean' }
              }
            },
            websocketHandler: {
              handleIn: (
                _message: unknown,
                _state: unknown,
                ws: { push: (message: unknown) => never }
              ) => ws.push(true),
              handleInvalid: (
                _problem: unknown,
                _state: unknown,
                ws: { push: (message: unknown) => never }
              ) => ws.push(false)
            }
          } as never)
        },
        {
          fastify: {
            ajv: { customOptions: { ...others, formats: { email: /@corp\.example$/ } } }
          } as never
        }
      )
      t.equal(await ask(t, server.url('/ws'), '{"to":"a@corp.example"}'), 'true')
      t.equal(await ask(t, server.url('/ws'), '{"to":"a@evil.example"}'), 'false')
    }
  }
})

void t.test('a value that JSON cannot hold is an error anywhere in a message', async (t) => {
  const values: Record<string, unknown> = {
    fn: () => {},
    symbol: Symbol('s'),
    nested: { a: [() => {}] },
    hole: [undefined],
    json: { toJSON: () => undefined },
    good: { a: undefined, b: [null] }
  }
  for (const v of [{}, { type: 'object', additionalProperties: true }, { anyOf: [{}] }]) {
    const server = await startServer(t, (app) => {
      app.get('/ws', {
        schema: { websocket: { receive: {}, send: { type: 'object', properties: { v } } } },
        websocketHandler: {
          handleIn: (name: string, _state: unknown, ws: { push: (message: unknown) => never }) =>
            ws.push({ v: values[name], more: () => {} })
        }
      } as never)
    }, { level: 'silent' })
    for (const name of Object.keys(values)) {
      const client = await connect(t, server.url('/ws'))
      client.send(JSON.stringify(name))
      if (name === 'good') t.equal(await client.next(), '{"v":{"b":[null]}}')
      else t.equal((await client.closed).code, 1011, `${name} in ${JSON.stringify(v)}`)
    }
  }
})

void t.test('the error of a message that cannot be sent names the message', async (t) => {
  const errors: string[] = []
  const send = Type.Union(['a', 'b'].map((event) =>
    Type.Object({ event: Type.Literal(event), n: Type.Integer() })))
  const server = await startServer(t, (app) => {
    app.get('/', {
      schema: { websocket: { receive: typed(), send } },
      websocketHandler: {
        handleIn: (message, _state, ws) => ws.push(message as never),
        terminate: (reason) => {
          if (reason.type === 'error') errors.push((reason.error as Error).message)
        }
      }
    })
  })
  for (const message of [{ event: 'a' }, { event: 'b', n: 'x' }, { event: 'c' }, { n: 1 }]) {
    const client = await connect(t, server.url('/'))
    client.send(JSON.stringify(message))
    t.equal((await client.closed).code, 1011)
  }
  t.same(errors, [
    'Cannot be sent: a message with the event "a": "n" is required!',
    'Cannot be sent: a message with the event "b": The value "x" cannot be converted to an ' +
    'integer.',
    'Cannot be sent: a message with the event "c": no member of the `send` schema has this event',
    'Cannot be sent: no event, by which the `send` schema tells messages apart'
  ])
})
