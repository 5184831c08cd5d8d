import type { Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import type { TerminateReason, WebsocketContext } from '../../src/index.ts'
import type { WebsocketOptions } from '../../src/plugin/options.ts'
import {
  closeFrame,
  connectRaw,
  frame,
  handshake,
  text,
  words,
  type RawClient
} from '../helpers/raw.ts'
import { startServer, type Teardown } from '../helpers/server.ts'

// Broadcasts beside frames and pongs of the same tick, to slow peers, and during a closing
// handshake.

type Context = WebsocketContext<string, string, unknown>

interface Room {
  readonly clients: RawClient[]
  readonly contexts: Context[]
  readonly sockets: Socket[]
  /** The reasons that `terminate` got. */
  readonly reasons: TerminateReason[]
  readonly broadcast: (message: string) => void
}

interface RoomOptions {
  readonly websocketOptions?: Partial<WebsocketOptions>
  readonly clients?: number
  readonly handleIn?: (
    room: Room,
    message: string,
    ws: Context
  ) => Promise<void> | string | undefined
  readonly allowHalfOpen?: boolean
}

/** Opens clients that are subscribed to the topic `all` and have received `ready`. */
async function openRoom (
  t: Teardown,
  { websocketOptions = {}, clients = 1, handleIn, allowHalfOpen = false }: RoomOptions
): Promise<Room> {
  const { app, port } = await startServer(t, (app) => {
    app.get('/', {
      websocketOptions,
      websocketHandler: {
        init: ({ request }, ws) => {
          room.contexts.push(ws as never)
          room.sockets.push(request.raw.socket)
          ws.subscribe('all')
          return ws.push('ready')
        },
        handleIn: ({ data }, _state, ws) => {
          const answer = handleIn?.(room, String(data), ws as never)
          return typeof answer === 'string'
            ? ws.push(answer)
            : (answer as Promise<undefined> | undefined)
        },
        terminate: (reason) => {
          room.reasons.push(reason)
        }
      }
    })
  })
  const room: Room = {
    clients: [],
    contexts: [],
    sockets: [],
    reasons: [],
    broadcast: (message) => app.websock.broadcast('all', message)
  }
  while (room.clients.length < clients) {
    const client = (await connectRaw(t, port, { allowHalfOpen })).write(handshake('/'))
    room.clients.push(await client.until(() => client.frames().length === 1))
  }
  return room
}

for (const count of [1, 60]) {
  void t.test(
    `${count} at a time, broadcasts to a slow peer use at most maxBufferedBytes and one message`,
    async (t) => {
      const LIMIT = 1024
      const most: number[] = []
      for (let trial = 0; trial < 5; trial++) {
        const {
          clients: [client],
          contexts: [ws],
          broadcast
        } = (await openRoom(t, {
          websocketOptions: { slowPeer: 'drop', maxBufferedBytes: LIMIT }
        })) as Room & { clients: [RawClient], contexts: [Context] }
        client.socket.pause()
        while (ws.droppedMessages === 0) {
          for (let n = 0; n < count; n++) broadcast('x'.repeat(1000))
          await nextTurn()
          most.push(ws.bufferedBytes)
        }
        client.socket.destroy()
      }
      t.ok(Math.max(...most) <= LIMIT + 1004, `${Math.max(...most)} bytes`)
    }
  )
}

void t.test(
  "slowPeer: 'wait': a broadcast does not overtake those that wait in the mailbox",
  async (t) => {
    let release = (): void => {}
    const {
      clients: [client],
      contexts: [ws],
      broadcast
    } = (await openRoom(t, {
      websocketOptions: { slowPeer: 'wait', maxBufferedBytes: 1024 },
      handleIn: async () =>
        await new Promise<void>((resolve) => {
          release = resolve
        })
    })) as Room & { clients: [RawClient], contexts: [Context] }
    client.write(text('be busy'))
    client.socket.pause()
    let sent = 0
    for (; ws.bufferedBytes <= 1024; sent++) {
      broadcast('x'.repeat(30_000))
      await nextTurn()
    }
    broadcast('1')
    await nextTurn()
    client.socket.resume()
    while (ws.bufferedBytes > 0) await nextTurn()
    broadcast('2')
    await nextTurn()
    release()
    await client.until(() => words(client).length === 1 + sent + 2)
    t.same(words(client).slice(1 + sent), ['1 1', '1 2'])
  }
)

void t.test('a broadcast after the answer to a close frame is not sent', async (t) => {
  const {
    clients: [client],
    sockets: [socket],
    reasons,
    broadcast
  } = (await openRoom(t, { allowHalfOpen: true })) as Room & {
    clients: [RawClient]
    sockets: [Socket]
  }
  const errors: unknown[] = []
  socket.on('error', (error) => errors.push(error)).on('data', () => broadcast('too late'))
  client.write(closeFrame(1000))
  await client.until(() => words(client).includes('8 1000'))
  await nextTurn()
  client.socket.end()
  await client.ended
  while (reasons.length === 0) await nextTurn()
  t.same(
    [words(client), errors, reasons],
    [['1 ready', '8 1000'], [], [{ type: 'remote', code: 1000, reason: '' }]]
  )
})

void t.test('a broadcast after the FIN of the peer is not sent', async (t) => {
  const {
    clients: [client],
    sockets: [socket],
    reasons,
    broadcast
  } = (await openRoom(t, { allowHalfOpen: true })) as Room & {
    clients: [RawClient]
    sockets: [Socket]
  }
  const errors: unknown[] = []
  socket.on('error', (error) => errors.push(error)).on('end', () => broadcast('too late'))
  client.socket.end()
  await client.ended
  while (reasons.length === 0) await nextTurn()
  t.same(
    [words(client), errors, reasons],
    [['1 ready'], [], [{ type: 'remote', code: 1006, reason: '' }]]
  )
})

void t.test('a broadcast after the close of a peer that sent fragments is not sent', async (t) => {
  const {
    clients: [client],
    sockets: [socket],
    broadcast
  } = (await openRoom(t, {
    allowHalfOpen: true,
    handleIn: (_room, message) => message
  })) as Room & { clients: [RawClient], sockets: [Socket] }
  client.write(Buffer.concat([frame(1, 'in ', { fin: false }), frame(0, 'pieces')]))
  await client.until(() => words(client).includes('1 in pieces'))
  broadcast('in time')
  await client.until(() => words(client).includes('1 in time'))
  const errors: unknown[] = []
  socket.on('error', (error) => errors.push(error)).on('data', () => broadcast('too late'))
  client.write(closeFrame(1000))
  await client.until(() => words(client).includes('8 1000'))
  client.socket.end()
  await client.ended
  t.same([words(client), errors], [['1 ready', '1 in pieces', '1 in time', '8 1000'], []])
})
