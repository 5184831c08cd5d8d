import { setImmediate as nextTurn, setTimeout as later } from 'node:timers/promises'
import t from 'tap'
import { connect } from '../helpers/client.ts'
import { startServer } from '../helpers/server.ts'

/** Waits for a condition, and fails instead of hanging. */
async function until (condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('the condition was not met within 10 s')
    await nextTurn()
  }
}

void t.test(
  'a task of ws.run runs beside the mailbox, is aborted by the end, and ends before terminate',
  async (t) => {
    const events: string[] = []
    const server = await startServer(t, (app) => {
      app.get('/', {
        websocketHandler: {
          init: (_args, ws) => {
            ws.run(async (signal) => {
              events.push('task')
              await new Promise<void>((resolve) =>
                signal.addEventListener('abort', () => resolve())
              )
              await nextTurn()
              events.push('task ends')
              throw signal.reason
            })
            return ws.push('ready')
          },
          handleIn: (_message, _state, ws) => ws.push('pong'),
          terminate: ({ type }) => {
            events.push(type)
          }
        }
      })
    })
    const client = await connect(t, server.url('/'))
    await client.next()
    client.send('ping')
    t.equal(await client.next(), 'pong', 'messages are handled while the task runs')
    client.socket.close(1000)
    await until(() => events.length === 3)
    t.same(events, ['task', 'task ends', 'remote'])
    t.same(server.logs, [], 'the abort of a task is not logged as a failure')
  }
)

void t.test(
  'a task of ws.run that fails, at once or later, ends the connection with 1011',
  async (t) => {
    const reasons: string[] = []
    const server = await startServer(t, (app) => {
      app.get('/', {
        websocketHandler: {
          handleIn: ({ data }, _state, ws) => {
            if (data === 'at once') {
              ws.run(() => {
                throw new Error('at once')
              })
            } else {
              ws.run(async () => {
                await nextTurn()
                throw new Error('later')
              })
            }
          },
          terminate: ({ type }) => {
            reasons.push(type)
          }
        }
      })
    })
    for (const word of ['at once', 'later']) {
      const client = await connect(t, server.url('/'))
      client.send(word)
      t.equal((await client.closed).code, 1011)
    }
    await until(() => reasons.length === 2)
    t.same(reasons, ['error', 'error'])
    t.same(
      server.logs.map(({ callback, err }) => [callback, err?.message]),
      [
        ['ws.run', 'at once'],
        ['ws.run', 'later']
      ]
    )
  }
)

void t.test(
  'an aborted task may end with the AbortError of its signal, and can be cancelled',
  async (t) => {
    const ended: string[] = []
    const server = await startServer(t, (app) => {
      app.get('/', {
        websocketHandler: {
          init: (_args, ws) => {
            const start = (name: string): { cancel: () => void } =>
              ws.run(async (signal) => {
                try {
                  await later(60_000, undefined, { signal })
                } finally {
                  ended.push(name)
                }
              })
            start('by the end')
            return ws.push('ready', start('by cancel'))
          },
          handleIn: (_message, task, ws) => {
            task.cancel()
            return ws.push('cancelled')
          }
        }
      })
    })
    const client = await connect(t, server.url('/'))
    await client.next()
    client.send('cancel')
    t.equal(await client.next(), 'cancelled')
    await until(() => ended.length === 1)
    client.send('cancel')
    t.equal(await client.next(), 'cancelled', 'the connection stays open')
    client.socket.terminate()
    await until(() => ended.length === 2)
    t.same([ended, server.logs], [['by cancel', 'by the end'], []])
  }
)

void t.test('terminate is called although a task never ends, and the task is logged', async (t) => {
  const reasons: string[] = []
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketOptions: { terminateTimeoutMs: 50 },
      websocketHandler: {
        init: (_args, ws) => { ws.run(() => new Promise(() => {})); return ws.push('ready') },
        terminate: ({ type }) => { reasons.push(type) }
      }
    })
  })
  const client = await connect(t, server.url('/'))
  await client.next()
  client.socket.close(1000)
  await until(() => reasons.length > 0)
  t.same(server.logs.map(({ callback }) => callback), ['a task of ws.run'])
})
