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
