import { once } from 'node:events'
import { setImmediate as nextTurn, setTimeout as later } from 'node:timers/promises'
import t from 'tap'
import { WebSocket } from 'ws'
import { connectRaw, handshake, text, type RawClient } from '../helpers/raw.ts'
import { LONG } from '../helpers/scale.ts'
import { startServer } from '../helpers/server.ts'

const CONNECTIONS = LONG ? 1000 : 300
/** The connections whose callbacks throw, 200 at a time. */
const CHAOTIC = LONG ? 6000 : 600

void t.test(
  `${CONNECTIONS} connections with a slow init lose no frame, from the packet of the handshake on`,
  async (t) => {
    const server = await startServer(t, (app) => {
      app.get('/count/:id', {
        websocketHandler: {
          async init ({ params }, ws) {
            await later(50 + Math.random() * 200)
            return ws.ok({ id: (params as { id: string }).id, seen: [] as string[] })
          },
          async handleIn (message, state, ws) {
            state.seen.push(String(message.data))
            if (Math.random() < 0.05) await nextTurn()
            if (state.seen.length === 100) {
              return ws.stop('normal', undefined, JSON.stringify(state.seen))
            }
          }
        }
      })
    })
    const expected = JSON.stringify(Array.from({ length: 100 }, (_, i) => `m${i}`))
    const frames = (from: number, to: number): Buffer =>
      Buffer.concat(Array.from({ length: to - from }, (_, i) => text(`m${from + i}`)))
    const talk = async (id: number): Promise<RawClient> => {
      const client = await connectRaw(t, server.port)
      client.write(Buffer.concat([Buffer.from(handshake(`/count/${id}`)), frames(0, 40)]))
      await client.until(({ text }) => text.includes('\r\n\r\n'), 60_000)
      client.write(frames(40, 70))
      await nextTurn()
      return client.write(frames(70, 100))
    }
    const clients = await Promise.all(Array.from({ length: CONNECTIONS }, (_, id) => talk(id)))
    await Promise.all(
      clients.map((client) => client.until(() => client.frames().length === 2, 60_000))
    )
    const answers = clients.map((client) => client.frames()[0]?.payload.toString())
    t.equal(
      answers.filter((answer) => answer === expected).length,
      CONNECTIONS,
      'each connection handled its 100 frames once and in order'
    )
  }
)

void t.test(
  `${CHAOTIC} connections whose callbacks throw at random call terminate once and leave no socket`,
  { timeout: 90_000 },
  async (t) => {
    const calls = new Map<string, { initReturned: boolean, terminated: number }>()
    const failMaybe = async (): Promise<void> => {
      if (Math.random() < 0.1) throw new Error('at random, at once')
      if (Math.random() < 0.5) return
      await nextTurn()
      if (Math.random() < 0.1) throw new Error('at random, later')
    }
    const unhandled: unknown[] = []
    const note = (error: unknown): void => {
      unhandled.push(error)
    }
    process.on('unhandledRejection', note)
    t.teardown(() => process.off('unhandledRejection', note))
    const before = process.getActiveResourcesInfo()

    const server = await startServer(
      t,
      (app) => {
        app.get('/chaos', {
          websocketHandler: {
            async init (_args, ws) {
              const call = { initReturned: false, terminated: 0 }
              calls.set(ws.id, call)
              ws.postInterval('tick', 5)
              ws.postAfter('once', 60_000)
              await failMaybe()
              call.initReturned = true
              return ws.ok(call)
            },
            async handleIn (message, _state, ws) {
              await failMaybe()
              return ws.push(message)
            },
            handleInfo () {
              if (Math.random() < 0.02) throw new Error('at random, sync')
            },
            handleControl: failMaybe,
            async terminate (_reason, state) {
              state.terminated++
              await failMaybe()
            }
          }
        })
      },
      { level: 'silent' }
    )

    let opened = 0
    const run = async (): Promise<void> => {
      while (opened < CHAOTIC) {
        const socket = new WebSocket(server.url('/chaos'))
        socket.on('error', () => {})
        socket.on('open', () => {
          opened++
          socket.ping()
          socket.send('hello')
        })
        socket.on('message', () =>
          Math.random() < 0.02
            ? socket.terminate()
            : Math.random() < 0.02
              ? socket.close()
              : socket.send('again')
        )
        await once(socket, 'close')
      }
    }
    await Promise.all(Array.from({ length: 200 }, run))
    await server.app.close()

    const all = [...calls.values()]
    t.comment(
      `${opened} connections, ${all.filter((call) => !call.initReturned).length} of them failed ` +
      'in init'
    )
    t.equal(
      all.filter((call) => call.initReturned && call.terminated !== 1).length,
      0,
      'terminate ran once where init returned'
    )
    t.equal(
      all.filter((call) => !call.initReturned && call.terminated !== 0).length,
      0,
      'terminate did not run where init failed'
    )
    t.same(unhandled, [])
    const kinds = (names: string[]): Record<string, number> => {
      const counted: Record<string, number> = {}
      for (const name of names) {
        if (/^(Timeout|Immediate|TCP)/.test(name)) counted[name] = (counted[name] ?? 0) + 1
      }
      return counted
    }
    // The clients' sockets close a turn later than the server's.
    for (
      let turn = 0;
      turn < 1000 &&
      JSON.stringify(kinds(process.getActiveResourcesInfo())) !== JSON.stringify(kinds(before));
      turn++
    ) {
      await nextTurn()
    }
    t.same(
      kinds(process.getActiveResourcesInfo()),
      kinds(before),
      'no socket and no timer is left over'
    )
  }
)
