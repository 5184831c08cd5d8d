import t from 'tap'
import WebSocket from 'ws'
import { deflateMessage, inflateMessage, negotiateDeflate } from '../../src/protocol/deflate.ts'
import { connectRaw, handshake } from '../helpers/raw.ts'
import { startServer } from '../helpers/server.ts'

void t.test('the first offer that can be met is taken, as RFC 7692 says', async (t) => {
  const taken = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover'
  const cases: Array<[offer: string, header: string | undefined, windowBits?: number]> = [
    ['permessage-deflate', taken, 15],
    [' permessage-deflate ; client_max_window_bits ', taken, 15],
    ['permessage-deflate; client_max_window_bits="12"; server_no_context_takeover', taken, 15],
    ['permessage-deflate; server_max_window_bits=10', `${taken}; server_max_window_bits=10`, 10],
    ['permessage-deflate; server_max_window_bits=8, permessage-deflate', taken, 15],
    ['x-webkit-deflate-frame, permessage-deflate', taken, 15],
    [
      'permessage-deflate; unheard_of, permessage-deflate; server_max_window_bits=9',
      `${taken}; server_max_window_bits=9`,
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

void t.test('a message survives each window, and one that becomes too big is found', async (t) => {
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

void t.test('what the handshake agrees on is what frames do, with a client of ws', async (t) => {
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketOptions: { compress: true },
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
