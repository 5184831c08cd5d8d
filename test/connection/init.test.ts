import { createHook } from 'node:async_hooks'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { connectRaw, handshake } from '../helpers/raw.ts'
import { startServer } from '../helpers/server.ts'

void t.test(
  'an init that takes longer than initTimeoutMs closes with 1011, without terminate',
  async (t) => {
    let terminated = 0
    const server = await startServer(t, (app) => {
      app.get('/', {
        websocketOptions: { initTimeoutMs: 50, terminateTimeoutMs: 50, closeTimeoutMs: 200 },
        websocketHandler: {
          init: () => new Promise<void>(() => {}),
          terminate: () => {
            terminated++
          }
        }
      })
    })
    const raw = await connectRaw(t, server.port)
    raw.write(handshake('/'))
    await raw.until((client) => client.frames().length === 1)
    t.equal(raw.frames()[0]?.payload.readUInt16BE(), 1011)
    await raw.ended
    await server.app.close()
    t.equal(terminated, 0)
    t.match(server.logs[0], { err: { code: 'FST_WEBSOCK_CALLBACK_TIMEOUT' }, callback: 'init' })
  }
)

void t.test('a client that leaves while init hangs leaves no timer of init behind', async (t) => {
  const server = await startServer(t, (app) => {
    app.get('/hangs', {
      websocketOptions: { initTimeoutMs: 60_000, terminateTimeoutMs: 20 },
      websocketHandler: { init: () => new Promise<void>(() => {}) }
    })
    app.get('/stops', {
      websocketOptions: { initTimeoutMs: 60_000, terminateTimeoutMs: 20 },
      websocketHandler: {
        // It ends the connection, and only then returns its promise.
        init (_args, ws) {
          ws.close()
          return new Promise<void>(() => {})
        }
      }
    })
  })
  const initTimers: NodeJS.Timeout[] = []
  const hook = createHook({
    init (_id, type, _trigger, resource) {
      const timer = resource as NodeJS.Timeout
      // A cleared timer has lost its delay.
      if (type === 'Timeout' && delayOf(timer) === 60_000) initTimers.push(timer)
    }
  }).enable()
  t.teardown(() => hook.disable())
  for (const [i, path] of ['/hangs', '/stops'].entries()) {
    const raw = await connectRaw(t, server.port)
    raw.write(handshake(path))
    await raw.until(({ status }) => status === 101)
    raw.socket.destroy()
    // The log line about an exceeded `terminateTimeoutMs`.
    while (server.logs.length <= i) await turn()
  }
  hook.disable()
  t.equal(
    initTimers.length,
    1,
    'only the init that returned before the end of its connection has started a timer'
  )
  t.equal(delayOf(initTimers[0]!), -1, 'the timer was cleared')
  t.same(server.logs.map(({ callback }) => callback), Array(2).fill('the running callback'))
})

/** The delay in ms, or -1 for a cleared timer. No public property has it. */
function delayOf (timer: NodeJS.Timeout): number {
  return (timer as unknown as { _idleTimeout: number })._idleTimeout
}
