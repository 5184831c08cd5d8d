import t from 'tap'
import type { WebSocket } from 'ws'
import { connect, startScripted, until, type Message } from './helpers.ts'

const texts = (messages: readonly Message[]): unknown[] => messages.map(({ text }) => text)
const say = (text: string): Message => ({ event: 'say', text })

void t.test(
  'messages sent before the connection arrive in order, after those that onOpen sends',
  async (t) => {
    const server = await startScripted(t)
    const client = connect(t, server.url, {
      onOpen: () => {
        t.equal(client.send(say('hello')), 'sent')
      }
    })
    for (const text of ['a', 'b']) t.equal(client.send(say(text)), 'queued')
    await until(client, 'open')
    t.equal(client.send(say('c')), 'sent')
    await client.request({ event: 'ask' })
    t.same(texts(server.received).slice(0, 4), ['hello', 'a', 'b', 'c'])
  }
)

void t.test(
  'the queue keeps its bounds by its policy, and each dropped message is reported',
  async (t) => {
    const server = await startScripted(t)
    const cases = [
      [
        { maxMessages: 2, policy: 'refuse' },
        ['queued', 'queued', 'refused', 'refused'],
        ['a', 'b'],
        []
      ],
      [{ maxMessages: 2 }, ['queued', 'queued', 'refused', 'refused'], ['a', 'b'], []],
      [
        { maxMessages: 2, policy: 'drop-oldest' },
        ['queued', 'queued', 'queued', 'queued'],
        ['c', 'd'],
        ['a', 'b']
      ],
      [
        { maxMessages: 2, policy: 'drop-newest' },
        ['queued', 'queued', 'queued', 'queued'],
        ['a', 'd'],
        ['b', 'c']
      ],
      // 26 bytes each
      [
        { maxBytes: 52, policy: 'drop-oldest' },
        ['queued', 'queued', 'queued', 'queued'],
        ['c', 'd'],
        ['a', 'b']
      ],
      [
        { maxBytes: 51, policy: 'drop-oldest' },
        ['queued', 'queued', 'queued', 'queued'],
        ['d'],
        ['a', 'b', 'c']
      ],
      [
        { maxBytes: 25, policy: 'drop-oldest' },
        ['refused', 'refused', 'refused', 'refused'],
        [],
        []
      ],
      [
        { maxMessages: 0, policy: 'drop-newest' },
        ['refused', 'refused', 'refused', 'refused'],
        [],
        []
      ]
    ] as const
    for (const [queue, results, sent, dropped] of cases) {
      const reported: Message[] = []
      const client = connect(t, server.url, { queue, onDrop: (message) => reported.push(message) })
      t.same(
        ['a', 'b', 'c', 'd'].map((text) => client.send({ event: 'say', text })),
        results
      )
      server.received.length = 0
      await until(client, 'open')
      await client.request({ event: 'ask' })
      t.same(texts(server.received.slice(0, -1)), sent, JSON.stringify(queue))
      t.same(texts(reported), dropped)
      client.close()
    }
  }
)

void t.test('bytes are counted as UTF-8', async (t) => {
  const server = await startScripted(t)
  const client = connect(t, server.url, { queue: { maxBytes: 28 } })
  t.equal(client.send(say('éé')), 'refused')
  t.equal(client.send(say('é')), 'queued')
})

void t.test(
  'messages in the queue of a closed client are reported, and nothing can be sent after',
  async (t) => {
    const server = await startScripted(t)
    const reported: Message[] = []
    const client = connect(t, server.url, {
      onDrop: (message) => {
        reported.push(message)
        client.send(say('again'))
      }
    })
    client.send(say('a'))
    client.send(say('b'))
    const asked = client.request({ event: 'ask' })
    client.close()
    t.same(texts(reported), ['a', 'b'])
    await t.rejects(asked, { code: 'closed', sent: false })
    t.equal(client.send(say('c')), 'refused')
    await t.rejects(client.request({ event: 'ask' }), { code: 'refused', sent: false })
    t.equal(server.upgrades, 0, 'closed in the turn of connect, it never connects')
  }
)

void t.test('onDrop may send, and the queue keeps its bounds', async (t) => {
  const server = await startScripted(t)
  let drops = 0
  const client = connect(t, server.url, {
    queue: { maxMessages: 2, policy: 'drop-oldest' },
    onDrop: (message) => { if (drops++ < 10) client.send(message) }
  })
  for (const text of ['a', 'b', 'c']) client.send(say(text))
  t.equal(drops, 11)
  await until(client, 'open')
  await client.request({ event: 'ask' })
  t.equal(server.received.length, 3)
})

void t.test(
  'during the closing handshake messages wait for the next connection',
  async (t) => {
    const server = await startScripted(t)
    const client = connect(t, server.url)
    await until(client, 'open')
    const [socket] = [...server.sockets] as [WebSocket]
    const results: unknown[] = []
    socket.close(1012)
    while (client.getSnapshot().status === 'open') {
      results.push(client.send(say(String(results.length))))
      await new Promise(setImmediate)
    }
    await until(client, 'open')
    await client.request({ event: 'ask' })
    const waited = results.flatMap((result, index) => (result === 'queued' ? [String(index)] : []))
    for (const text of waited) t.ok(texts(server.received).includes(text))
    t.equal(
      new Set(texts(server.received)).size,
      server.received.length,
      'no message arrived twice'
    )
  }
)

void t.test('send refuses while the socket holds more than maxBufferedBytes', async (t) => {
  const server = await startScripted(t, ({ socket }) => {
    ;(socket as WebSocket & { _socket: { pause(): void } })._socket.pause()
  })
  const client = connect(t, server.url, { maxBufferedBytes: 1_000_000 })
  await until(client, 'open')
  const text = 'x'.repeat(1_000_000)
  let count = 0
  while (client.send(say(text)) === 'sent') t.ok(++count < 50)
  t.ok(count > 0)
  await t.rejects(client.request({ event: 'ask', text }), { code: 'refused', sent: false })
})

void t.test(
  'a request resolves with the message of its reference, whatever other messages arrive',
  async (t) => {
    const server = await startScripted(t, ({ socket }) => {
      socket.on('message', (data) => {
        const { ref } = JSON.parse(String(data)) as Message
        socket.send(JSON.stringify({ event: 'answer', ref: 'another', n: 0 }))
        socket.send(JSON.stringify({ event: 'answer', n: 0 }))
        socket.send(JSON.stringify({ event: 'answer', ref, n: 1 }))
        socket.send(JSON.stringify({ event: 'answer', ref, n: 2 }))
      })
    })
    const client = connect(t, server.url)
    const heard: unknown[] = []
    client.on('answer', ({ n }) => {
      heard.push(n)
    })
    const answers = await Promise.all([
      client.request({ event: 'x' }),
      client.request({ event: 'y' }),
      client.request({ event: 'z', ref: 12 })
    ])
    t.same(
      answers.map(({ n }) => n),
      [1, 1, 1]
    )
    t.same(answers[2].ref, 12, 'a reference of the message is kept')
    t.equal(new Set(answers.map(({ ref }) => ref)).size, 3)
    t.ok(heard.length >= 9, 'answers are passed to listeners too')
  }
)

void t.test('a reference that is in use is refused', async (t) => {
  const server = await startScripted(t)
  const client = connect(t, server.url)
  const first = client.request({ event: 'ask', ref: 1 })
  await t.rejects(client.request({ event: 'ask', ref: 1 }), { code: 'refused', sent: false })
  t.match(await first, { ref: 1 })
  t.match(await client.request({ event: 'ask', ref: 1 }), { ref: 1 })
})

void t.test('a request ends by its timeout or its signal, sent or not', async (t) => {
  const server = await startScripted(t)
  const client = connect(t, server.url)
  const abort = new AbortController()
  const queued = client.request({ event: 'never', text: 'aborted' }, { signal: abort.signal })
  abort.abort(new Error('enough'))
  await t.rejects(queued, { message: 'enough' })
  await t.rejects(client.request({ event: 'never' }, { signal: abort.signal }), {
    message: 'enough'
  })
  await until(client, 'open')
  await t.rejects(client.request({ event: 'never' }, { timeoutMs: 20 }), {
    name: 'ClientError',
    code: 'timeout',
    sent: true
  })
  const later = new AbortController()
  const sent = client.request({ event: 'never' }, { signal: later.signal })
  later.abort()
  await t.rejects(sent, { name: 'AbortError' })
  await client.request({ event: 'ask' })
  t.same(
    server.received.map(({ event, text }) => text ?? event),
    ['never', 'never', 'ask'],
    'a request that ended in the queue is never sent'
  )

  const away = connect(t, 'ws://127.0.0.1:1')
  await t.rejects(away.request({ event: 'ask' }, { timeoutMs: 20 }), {
    code: 'timeout',
    sent: false
  })
})

void t.test('a request whose connection ends rejects at once, and is not sent again', async (t) => {
  const server = await startScripted(t, ({ socket, index }) => {
    if (index === 0) socket.on('message', () => socket.terminate())
  })
  const client = connect(t, server.url)
  await until(client, 'open')
  await t.rejects(client.request({ event: 'never' }), { code: 'lost', sent: true })
  await until(client, 'open')
  await client.request({ event: 'ask' })
  t.same(server.received.map(({ event }) => event), ['never', 'ask'])
})

void t.test('a queued request that is dropped rejects', async (t) => {
  const server = await startScripted(t)
  const client = connect(t, server.url, {
    queue: { maxMessages: 1, policy: 'drop-oldest' },
    onDrop: () => t.fail('the request rejects')
  })
  const dropped = client.request({ event: 'ask', text: 'a' })
  const kept = client.request({ event: 'ask', text: 'b' })
  await t.rejects(dropped, { code: 'dropped', sent: false })
  t.match(await kept, { text: 'b' })
  t.same(texts(server.received), ['b'])
})
