import t from 'tap'
import WebSocket from 'ws'
import { pingFrame } from '../../src/index.ts'
import { deflateMessage, inflateMessage, negotiateDeflate } from '../../src/protocol/deflate.ts'
import { closeFrame, connectRaw, handshake, text } from '../helpers/raw.ts'
import { startServer } from '../helpers/server.ts'

void t.test('the first acceptable offer is accepted, as in RFC 7692', async (t) => {
  const accepted = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover'
  const cases: Array<[offer: string, header: string | undefined, windowBits?: number]> = [
    ['permessage-deflate', accepted, 15],
    [' permessage-deflate ; client_max_window_bits ', accepted, 15],
    ['permessage-deflate; client_max_window_bits="12"; server_no_context_takeover', accepted, 15],
    ['permessage-deflate; server_max_window_bits=10', `${accepted}; server_max_window_bits=10`, 10],
    ['permessage-deflate; server_max_window_bits=8, permessage-deflate', accepted, 15],
    ['x-webkit-deflate-frame, permessage-deflate', accepted, 15],
    [
      'permessage-deflate; unheard_of, permessage-deflate; server_max_window_bits=9',
      `${accepted}; server_max_window_bits=9`,
      9
    ],
    ['permessage-deflate; server_max_window_bits=7', undefined],
    ['permessage-deflate; server_max_window_bits=16', undefined],
    ['permessage-deflate; server_max_window_bits', undefined],
    ['permessage-deflate; server_max_window_bits=010', undefined],
    ['permessage-deflate; client_max_window_bits=99', undefined],
    ['permessage-deflate; server_no_context_takeover=1', undefined],
    ['permessage-deflate; server_no_context_takeover; server_no_context_takeover', undefined],
    ['x-other; a=b', undefined]
  ]
  for (const [offer, header, windowBits] of cases) {
    t.same(
      negotiateDeflate(offer),
      header === undefined ? undefined : { header, windowBits },
      offer
    )
  }
  for (const offer of [
    '',
    ',',
    'permessage-deflate;',
    'permessage-deflate; =',
    'permessage-deflate; a="b',
    'a b',
    'permessage-deflate; a="b c"',
    'permessage-deflate=1'
  ]) {
    t.equal(negotiateDeflate(offer), 'malformed', JSON.stringify(offer))
  }
  t.equal(negotiateDeflate(undefined), undefined)
})

void t.test('a message is inflated with each window, and refused over the limit', async (t) => {
  const text = Array.from({ length: 5000 }, (_none, i) => `${i}`).join()
  for (let windowBits = 9; windowBits <= 15; windowBits++) {
    t.equal(
      String(inflateMessage(deflateMessage(text, windowBits), text.length)),
      text,
      `${windowBits}`
    )
  }
  t.equal(inflateMessage(deflateMessage(text, 15), text.length - 1), 'too big')
  t.equal(inflateMessage(Buffer.from('no deflate'), 1000), 'invalid')
})

void t.test('a client of ws exchanges messages with each of its offers', async (t) => {
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketOptions: { compress: { threshold: 0 } },
      websocketHandler: { handleIn: (message, _state, ws) => ws.push(message) }
    })
  })
  for (const perMessageDeflate of [
    true,
    { serverMaxWindowBits: 9 },
    { threshold: 0 },
    { clientMaxWindowBits: 9, threshold: 0 }
  ]) {
    const client = new WebSocket(server.url('/'), { perMessageDeflate })
    t.teardown(() => client.terminate())
    await new Promise((resolve) => client.once('open', resolve))
    t.match(client.extensions, /^permessage-deflate/)
    for (const text of ['short', 'long '.repeat(10_000), '€'.repeat(3000), '']) {
      const echo = new Promise<string>((resolve) =>
        client.once('message', (data) => resolve(String(data)))
      )
      client.send(text)
      t.equal(await echo, text)
    }
  }
  const raw = await connectRaw(t, server.port)
  raw.write(handshake('/', { 'Sec-WebSocket-Extensions': 'permessage-deflate; unheard_of' }))
  await raw.until(({ text }) => text.includes('\r\n\r\n'))
  t.equal(raw.status, 101)
  t.notMatch(raw.text, /Sec-WebSocket-Extensions/i, 'an offer that cannot be met is declined')
})

void t.test('only messages of at least `threshold` bytes are compressed', async (t) => {
  const server = await startServer(
    t,
    (app) => {
      for (const [path, websocketOptions] of [
        ['/plugin', {}],
        ['/true', { compress: true }],
        ['/default', { compress: {} }],
        ['/all', { compress: { threshold: 0 } }],
        ['/off', { compress: false }]
      ] as const) {
        app.get(path, {
          websocketOptions,
          websocketHandler: {
            init: (_args, ws) => ws.subscribe(path),
            handleIn: ({ data }, _state, ws) => {
              const message = data.slice(0, Number(data.slice(0, 4)))
              app.websock.broadcast(path, message)
              ws.send(message)
              return ws.push([message, pingFrame(message.slice(0, 125))])
            }
          }
        })
      }
    },
    { websock: { compress: { threshold: 5 } } }
  )
  for (const [path, threshold] of [
    ['/plugin', 5],
    ['/true', 1024],
    ['/default', 1024],
    ['/all', 0],
    ['/off', Infinity]
  ] as const) {
    const raw = await connectRaw(t, server.port)
    raw.write(handshake(path, { 'Sec-WebSocket-Extensions': 'permessage-deflate' }))
    const sizes = [0, 4, 5, 1023, 1024]
    for (const size of sizes) raw.write(text(`${String(size).padStart(4, '0')}`.repeat(300)))
    raw.write(closeFrame(1000))
    await raw.ended
    t.equal(raw.text.includes('permessage-deflate'), path !== '/off', path)
    const seen = raw.frames().map(({ opcode, compressed }) => `${opcode} ${compressed === true}`)
    const wanted = sizes.flatMap((size) => [
      ...Array.from({ length: 3 }, () => `1 ${size >= threshold}`),
      '9 false'
    ])
    t.same(seen, [...wanted, '8 false'], path)
  }
})
