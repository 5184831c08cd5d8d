import { once } from 'node:events'
import t from 'tap'
import { startEndings } from '../helpers/endings.ts'
import { closeFrame, frame, text, type RawClient } from '../helpers/raw.ts'
import { later, wire, wireUntilClose } from '../helpers/scripted-callbacks.ts'

const reset = (raw: RawClient): unknown => raw.socket.resetAndDestroy()
const send = (...frames: Buffer[]) => (raw: RawClient): unknown => raw.write(Buffer.concat(frames))
const notMasked = Buffer.from([0x81, 0x01, 0x78])
const notUtf8 = Buffer.from([0xc3, 0x28])
const with64BitLength = Buffer.from([0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4])

const broken = (code: number): object => ({
  type: 'error',
  code,
  error: { code: 'FST_WEBSOCK_PROTOCOL_ERROR' }
})
const remote = (code: number, reason = ''): object => ({ type: 'remote', code, reason })

/** The action of the peer, the frames that it gets, and the reason that `terminate` gets. */
const BY_THE_PEER: ReadonlyArray<
  [name: string, act: (raw: RawClient) => unknown, frames: string[], reason: object]
> = [
  [
    'closes with code and reason',
    send(closeFrame(1000, 'bye')),
    ['close 1000 bye'],
    remote(1000, 'bye')
  ],
  ['closes with a code', send(closeFrame(1001)), ['close 1001 '], remote(1001)],
  [
    'closes with a private code',
    send(closeFrame(4321, 'é'.repeat(61))),
    ['close 4321 ' + 'é'.repeat(61)],
    remote(4321, 'é'.repeat(61))
  ],
  ['closes without a code', send(closeFrame()), ['close'], remote(1005)],
  ['ends TCP', (raw) => raw.socket.end(), [], remote(1006)],
  ['resets TCP', reset, [], remote(1006)],
  [
    'ends TCP within a frame',
    (raw) => raw.socket.end(text('cut off').subarray(0, 9)),
    [],
    remote(1006)
  ],
  ['sends a frame that is not masked', send(notMasked), ['close 1002 '], broken(1002)],
  ['sets RSV1', send(frame(1, 'x', { rsv: 4 })), ['close 1002 '], broken(1002)],
  ['sets RSV3', send(frame(1, 'x', { rsv: 1 })), ['close 1002 '], broken(1002)],
  ['sends opcode 3', send(frame(3, 'x')), ['close 1002 '], broken(1002)],
  ['sends opcode 11', send(frame(11)), ['close 1002 '], broken(1002)],
  ['sends a lone continuation frame', send(frame(0, 'x')), ['close 1002 '], broken(1002)],
  [
    'begins a new message within a message',
    send(frame(1, 'x', { fin: false }), text('y')),
    ['close 1002 '],
    broken(1002)
  ],
  ['sends a ping in fragments', send(frame(9, 'x', { fin: false })), ['close 1002 '], broken(1002)],
  ['sends a ping of 126 bytes', send(frame(9, 'x'.repeat(126))), ['close 1002 '], broken(1002)],
  ['closes with one byte', send(frame(8, 'x')), ['close 1002 '], broken(1002)],
  ['closes with 1005', send(closeFrame(1005)), ['close 1002 '], broken(1002)],
  ['closes with 999', send(closeFrame(999)), ['close 1002 '], broken(1002)],
  [
    'closes with a reason that is not UTF-8',
    send(frame(8, Buffer.concat([Buffer.from([0x03, 0xe8]), notUtf8]))),
    ['close 1007 '],
    broken(1007)
  ],
  ['sends text that is not UTF-8', send(frame(1, notUtf8)), ['close 1007 '], broken(1007)],
  [
    'sends text that is not UTF-8 in fragments',
    send(frame(1, 'a', { fin: false }), frame(0, notUtf8)),
    ['close 1007 '],
    broken(1007)
  ],
  [
    'sends a message that is one byte too long',
    send(text('x'.repeat(1001))),
    ['close 1009 '],
    broken(1009)
  ],
  [
    'sends a message that is one byte too long in fragments',
    send(frame(1, 'x'.repeat(1000), { fin: false }), frame(0, 'x')),
    ['close 1009 '],
    broken(1009)
  ],
  ['announces a message of 4 GiB', send(with64BitLength), ['close 1009 '], broken(1009)],
  [
    'sends 16 385 fragments',
    send(
      frame(1, '', { fin: false }),
      ...Array.from({ length: 16_384 }, () => frame(0, '', { fin: false }))
    ),
    ['close 1008 '],
    broken(1008)
  ]
]

void t.test(
  'each end by the peer gets the right close frame, and terminate gets the reason',
  async (t) => {
    for (const busy of [false, true]) {
      let release: () => void = () => {}
      const endings = await startEndings(
        t,
        {
          init: (ws) => ws.ok('state'),
          handleIn: (data) =>
            data === 'busy'
              ? new Promise<void>((resolve) => {
                release = resolve
              })
              : undefined
        },
        { maxMessageBytes: 1000, terminateTimeoutMs: 5000 }
      )
      for (const [name, act, frames, reason] of BY_THE_PEER) {
        const label = `${name}${busy ? ' while a callback runs' : ''}`
        const [called, ended] = [endings.calls.length, endings.ends.length]
        const raw = await endings.open(t)
        if (busy) {
          raw.write(text('busy'))
          await endings.until('calls', called + 2)
        }
        act(raw)
        if (busy) {
          await raw.ended
          t.equal(endings.ends.length, ended, `${label}: terminate waits`)
          release()
        }
        await endings.until('ends', ended + 1)
        await raw.ended
        t.same(wire(raw), frames, `${label}: frames`)
        t.match(
          endings.ends.slice(ended),
          [{ reason, state: 'state', aborted: true }],
          `${label}: reason`
        )
        t.equal(endings.ends.length, ended + 1, `${label}: once`)
        t.equal(endings.calls.length, called + (busy ? 2 : 1), `${label}: nothing else is called`)
      }
      t.same(endings.logs, [], 'an end by the peer is not logged')
    }
  }
)

void t.test('a message may have 16 384 fragments', async (t) => {
  const endings = await startEndings(t, {
    handleIn: (data, ws) => ws.stop('normal', [4000, data] as never)
  })
  const raw = await endings.open(t)
  raw.write(
    Buffer.concat([
      frame(1, 'a', { fin: false }),
      ...Array.from({ length: 16_382 }, () => frame(0, '', { fin: false })),
      frame(0, 'z')
    ])
  )
  t.same(await wireUntilClose(raw), ['close 4000 az'])
})

void t.test(
  'when a peer closes without ending TCP the reason is remote, also while messages are pushed',
  async (t) => {
    const endings = await startEndings(
      t,
      {
        init: (ws) => {
          ws.postInterval('tick', 2)
        },
        handleInfo: (_info, ws) => ws.push('x'.repeat(60_000) as never)
      },
      { maxBufferedBytes: 100_000 }
    )
    const raw = await endings.open(t, { allowHalfOpen: true })
    raw.write(closeFrame(4000, 'bye'))
    await endings.until('ends')
    t.match(endings.ends, [{ reason: { type: 'remote', code: 4000, reason: 'bye' } }])
    t.equal((await wireUntilClose(raw)).at(-1), 'close 4000 bye')
  }
)

void t.test(
  'a slow reader is closed with 1013, with at most maxBufferedBytes and one message buffered',
  async (t) => {
    const [limit, size] = [1_000_000, 60_000]
    const list = Array.from({ length: 10 }, () => 'x'.repeat(size))
    const endings = await startEndings(
      t,
      {
        init: (ws) => {
          ws.post('fill' as never)
        },
        handleInfo (_info, ws) {
          ws.post('fill' as never)
          return ws.push(list as never)
        }
      },
      { maxBufferedBytes: limit }
    )
    const raw = await endings.open(t)
    raw.socket.pause()
    await endings.until('ends')
    t.match(endings.ends, [
      { reason: { type: 'error', code: 1013, error: { code: 'FST_WEBSOCK_SLOW_PEER' } } }
    ])
    const { bufferedBytes = 0 } = endings.ends[0] ?? {}
    t.ok(
      bufferedBytes > limit && bufferedBytes <= limit + size + 20,
      `${bufferedBytes} bytes are buffered`
    )
    const calls = endings.calls.length
    await endings.app.close()
    t.equal(endings.calls.length, calls, 'no callback is called after terminate')
    t.equal(endings.ends.length, 1)
  }
)

void t.test(
  'a slow reader that continues to read gets all sent messages, and the close frame',
  async (t) => {
    const endings = await startEndings(
      t,
      {
        init: (ws) => {
          ws.post('fill' as never)
        },
        handleInfo (_info, ws) {
          ws.post('fill' as never)
          return ws.push('x'.repeat(60_000) as never)
        }
      },
      { maxBufferedBytes: 200_000, closeTimeoutMs: 20_000 }
    )
    const raw = await endings.open(t)
    raw.socket.pause()
    await endings.until('ends')
    raw.socket.resume()
    const frames = await wireUntilClose(raw)
    t.equal(frames.pop(), 'close 1013 ')
    t.ok(
      frames.length > 3 && frames.every((line) => line.length === 60_005),
      `${frames.length} whole frames`
    )
  }
)

void t.test('a peer that answers no close frame is cut off after closeTimeoutMs', async (t) => {
  const endings = await startEndings(
    t,
    { handleIn: (_data, ws) => ws.stop() },
    { closeTimeoutMs: 200 }
  )
  const raw = await endings.open(t)
  // From before the close frame: a pause of this process may delay its reading.
  const from = performance.now()
  raw.write(text('stop'))
  t.same(await wireUntilClose(raw), ['close 1000 '])
  t.same(
    endings.ends.map(({ reason }) => reason),
    [{ type: 'normal' }],
    'terminate does not wait for the answer'
  )
  await raw.ended
  const ms = performance.now() - from
  t.ok(ms > 190 && ms < 10_000, `disconnected after ${ms} ms`)
})

void t.test(
  'after a stop only terminate is called, and waiting letters are dropped',
  async (t) => {
    for (const async of [false, true]) {
      const endings = await startEndings(t, {
        handleIn (data, ws) {
          ws.postAfter('soon', 20)
          ws.postInterval('tick', 20)
          ws.post('own' as never)
          const result = (): unknown => ws.stop('normal', [4000, data] as never)
          return async ? later(result) : result()
        },
        terminate (ws) {
          endings.calls.push(`${ws.post('x' as never)}`)
          ws.postAfter('late', 1)
          ws.postInterval('late', 1)
          ws.pause()
          ws.resume()
        }
      })
      const raw = await endings.open(t)
      raw.write(Buffer.concat([text('first'), text('second'), frame(9, 'p'), text('third')]))
      t.same(await wireUntilClose(raw), ['close 4000 first'])
      await raw.ended
      t.same(endings.calls, ['init', 'in first', 'false'], async ? 'async' : 'sync')
      t.match(endings.ends, [{ reason: { type: 'normal' } }])
      t.equal(endings.ends.length, 1)
    }
  }
)

void t.test(
  'an end aborts the signal of a running callback, and drops waiting infos but not messages',
  async (t) => {
    const order: string[] = []
    const endings = await startEndings(
      t,
      {
        init: (ws) => ws.push(ws.ref.address as never, 'before' as never),
        handleIn: async (data, ws) => {
          if (data !== 'wait') return
          await once(ws.signal, 'abort')
          order.push(`aborted, ${endings.ends.length} terminated`)
          return later(() => {
            order.push('returned')
            return ws.push('unsent' as never, 'after' as never)
          })
        },
        terminate: () => {
          order.push('terminate')
        }
      },
      { terminateTimeoutMs: 5000 }
    )
    const raw = await endings.open(t)
    raw.write(Buffer.concat([text('wait'), text('a'), text('b')]))
    await endings.until('calls', 2)
    const ref = endings.app.websock.ref(wire(raw)[0]?.slice(5) ?? '')
    t.equal(ref.post('dropped'), true, 'ref.post returns true before the end')
    raw.socket.destroy()
    await endings.until('ends')
    t.equal(ref.post('late'), false, 'ref.post returns false after the end')
    t.same(order, ['aborted, 0 terminated', 'returned', 'terminate'])
    t.same(endings.calls, ['init', 'in wait', 'in a', 'in b'])
    t.match(
      endings.ends,
      [{ reason: { type: 'remote', code: 1006 }, state: 'after' }],
      'the state that the callback returned'
    )
  }
)
