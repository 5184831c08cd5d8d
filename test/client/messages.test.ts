import t, { type Test } from 'tap'
import type { WebSocket } from 'ws'
import { ClientError, connect as connectClient } from '../../src/client/index.ts'
import { connect, defer, ownWebSocket, startScripted, until, type Message } from './helpers.ts'

const say = (socket: WebSocket, message: unknown): void => socket.send(JSON.stringify(message))

void t.test(
  'a listener gets the messages whose field has its value, until it is removed',
  async (t) => {
    const server = await startScripted(t, ({ socket }) => {
      socket.on('message', () => {
        for (let n = 0; n < 3; n++) say(socket, { event: n === 1 ? 'other' : 'said', n })
      })
    })
    const all = defer<void>('message')
    const heard: Message[] = []
    const never: Message[] = []
    const client = connect(t, server.url, {
      onMessage: ({ n }) => {
        if (n === 5) all.resolve()
      }
    })
    client.on('said', (message) => {
      heard.push(message)
    })
    const end = client.on('said', (message) => {
      never.push(message)
    })
    await until(client, 'open')
    t.equal(client.send({ event: 'x' }), 'sent')
    end()
    server.sockets.forEach((socket) =>
      socket.once('message', () => say(socket, { event: 'last', n: 5 }))
    )
    await all.promise
    t.same(
      heard.map(({ n }) => n),
      [0, 2]
    )
    t.same(never, [])
  }
)

void t.test('options name another field for the value and the reference', async (t) => {
  const server = await startScripted(t, ({ socket }) => {
    socket.on('message', (data) => {
      const { id } = JSON.parse(String(data)) as { id: number }
      for (const message of [null, 1, 'said', ['x'], { type: 'said' }, { type: 'pong', id }]) {
        say(socket, message)
      }
    })
  })
  interface Contract {
    send: { type: 'ping', id: number }
    receive: { type: 'said' } | { type: 'pong', id: number }
  }
  const client = connectClient<Contract, 'type', 'id'>(server.url, {
    ...ownWebSocket,
    field: 'type',
    ref: 'id'
  })
  t.teardown(() => client.close())
  const heard: unknown[] = []
  client.on('said', (message) => { heard.push(message) })
  t.same(await client.request({ type: 'ping', id: 7 }), { type: 'pong', id: 7 })
  t.same(heard, [{ type: 'said' }])
})

void t.test(
  'a listener or callback that throws or rejects is reported, and others are called',
  async (t) => {
    const server = await startScripted(t, ({ socket }) => say(socket, { event: 'said', n: 1 }))
    const errors: unknown[] = []
    const heard = defer<Message>('message')
    const fail = (words: string) => (): never => {
      throw new Error(words)
    }
    const client = connect(t, server.url, {
      onError: (error) => {
        errors.push((error as Error).message)
        throw new Error('onError itself')
      },
      onMessage: fail('onMessage'),
      onOpen: fail('onOpen')
    })
    const uncaught = catchUncaught(t)
    client.subscribe(fail('subscriber'))
    client.on('said', fail('listener'))
    client.on('said', async () => {
      await Promise.resolve()
      throw new Error('async listener')
    })
    client.on('said', heard.resolve)
    t.match(await heard.promise, { n: 1 })
    t.match(await client.request({ event: 'ask' }), { event: 'answer' })
    client.close()
    // Node reports unhandled rejections at the end of a turn.
    await new Promise(setImmediate)
    t.same(
      new Set(errors),
      new Set(['subscriber', 'onOpen', 'onMessage', 'listener', 'async listener'])
    )
    t.same(
      uncaught,
      errors.map(() => 'onError itself')
    )
  }
)

void t.test(
  'without onError the error of a listener is unhandled, and an invalid frame is ignored',
  async (t) => {
    const server = await startScripted(t, ({ socket }) => {
      socket.send('{"event":')
      say(socket, { event: 'said', n: 1 })
    })
    const uncaught = catchUncaught(t)
    const client = connect(t, server.url)
    client.on('said', () => {
      throw new Error('listener')
    })
    client.on('said', async () => {
      await Promise.resolve()
      throw new Error('async listener')
    })
    t.match(await client.request({ event: 'ask' }), { event: 'answer' })
    await new Promise(setImmediate)
    t.same(uncaught.sort(), ['async listener', 'listener'])
  }
)

void t.test('invalid frames are reported, and the connection stays open', async (t) => {
  const server = await startScripted(t, ({ socket }) => {
    socket.send('{"event":')
    socket.send('')
    socket.send(Buffer.from('1'))
    socket.send(Buffer.from('{"event":"said"}'))
    say(socket, { event: 'said', n: 1 })
  })
  const errors: unknown[] = []
  const client = connect(t, server.url, { onError: (error) => errors.push(error) })
  const heard: Message[] = []
  client.on('said', (message) => { heard.push(message) })
  await client.request({ event: 'ask' })
  t.same(heard, [{ event: 'said', n: 1 }])
  t.equal(errors.length, 4)
  for (const error of errors) {
    t.ok(
      error instanceof ClientError && error.code === 'undecodable' && error.cause instanceof Error
    )
  }
  t.equal(server.upgrades, 1)
})

void t.test('the client uses another codec for both directions', async (t) => {
  const server = await startScripted(t, ({ socket }) => {
    socket.on('message', (data, isBinary) => {
      if (isBinary) socket.send(data)
    })
  })
  const codec = {
    opcode: 'binary' as const,
    encode: (message: unknown) => new Uint8Array(message as number[]),
    decode: (data: Uint8Array) => { if (data[0] === 9) throw new Error('nine'); return [...data] }
  }
  const errors: ClientError[] = []
  const client = connectClient<{ send: number[], receive: number[] }>(server.url, {
    ...ownWebSocket,
    codec,
    onError: (error) => errors.push(error as ClientError)
  })
  t.teardown(() => client.close())
  await Promise.resolve()
  for (const message of [[1, 2], [], [9], [255]]) t.equal(client.send(message), 'queued')
  const got: number[][] = []
  for await (const message of client) if (got.push(message) === 3) break
  t.same(got, [[1, 2], [], [255]])
  t.match(errors, [{ code: 'undecodable', cause: { message: 'nine' } }])
})

void t.test('a message that cannot be encoded throws, and is not sent', async (t) => {
  const server = await startScripted(t)
  const client = connect(t, server.url)
  const circle: Record<string, unknown> = { event: 'x' }
  circle['self'] = circle
  for (const status of ['connecting', 'open'] as const) {
    await until(client, status)
    t.throws(() => client.send(circle as never), TypeError)
    t.throws(() => client.send(undefined as never), TypeError)
    await t.rejects(client.request(circle as never), TypeError)
  }
  await client.request({ event: 'ask' })
  t.equal(server.received.length, 1)
})

void t.test(
  'an iteration gets each message in order and ends when the client is closed',
  async (t) => {
    const server = await startScripted(t, ({ socket, index }) => {
      for (let n = 0; n < 50; n++) say(socket, { event: 'n', n: index * 50 + n })
      if (index === 0) socket.close(1011)
    })
    const client = connect(t, server.url)
    const got: unknown[] = []
    const other: unknown[] = []
    const both = (async () => {
      for await (const { n } of client) {
        if (other.push(n) === 3) break
      }
    })()
    for await (const { n } of client) {
      await new Promise(setImmediate)
      if (got.push(n) === 100) client.close()
    }
    await both
    t.same(
      got,
      Array.from({ length: 100 }, (_, n) => n)
    )
    t.same(other, [0, 1, 2])
    t.match(
      await client[Symbol.asyncIterator]().next(),
      { done: true },
      'an iteration of a closed client is done'
    )
  }
)

void t.test('an iteration that is too slow gets an error after its last message', async (t) => {
  for (const [iteration, fits] of [[{ maxMessages: 5 }, 5], [{ maxBytes: 100 }, 3]] as const) {
    const server = await startScripted(t, ({ socket }) => {
      for (let n = 0; n < 9; n++) say(socket, { event: 'n', text: 'é'.repeat(2) })
    })
    const last = defer<void>('message')
    let count = 0
    const client = connect(t, server.url, {
      iteration,
      onMessage: () => {
        if (++count === 9) last.resolve()
      }
    })
    let got = 0
    await t.rejects((async () => {
      for await (const { event } of client) {
        if (event === 'n') got++
        await last.promise
      }
    })(), { name: 'ClientError', code: 'overflow' })
    t.ok(got === fits || got === fits + 1, `${got} messages, of which the reader may have held one`)
  }
})

/** Collects the messages of uncaught errors until the test ends. */
function catchUncaught (t: Test): string[] {
  const messages: string[] = []
  process.setUncaughtExceptionCaptureCallback((error: Error) => { messages.push(error.message) })
  t.teardown(() => process.setUncaughtExceptionCaptureCallback(null))
  return messages
}
