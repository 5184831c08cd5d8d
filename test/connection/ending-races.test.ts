import { once } from 'node:events'
import t from 'tap'
import { startEndings } from '../helpers/endings.ts'
import { closeFrame, text } from '../helpers/raw.ts'
import { later, wire, wireUntilClose } from '../helpers/scripted-callbacks.ts'

/** A promise and its resolve function. */
function gate (): { opened: Promise<void>, open: () => void } {
  let open!: () => void
  const opened = new Promise<void>((resolve) => { open = resolve })
  return { opened, open }
}

const never = new Promise<never>(() => {})
const TIMED_OUT = { err: { code: 'FST_WEBSOCK_CALLBACK_TIMEOUT' } }

void t.test('a stop and a close of the peer in one packet end the connection once', async (t) => {
  const endings = await startEndings(t, {
    handleIn: (_data, ws) => ws.stop('normal', [4000, 'mine'])
  })
  for (let round = 0; round < 10; round++) {
    const raw = await endings.open(t)
    raw.write(Buffer.concat([text('stop'), closeFrame(4001, 'yours'), text('after the close')]))
    await raw.ended
    t.same(wire(raw), ['close 4000 mine'])
  }
  const crossing = await endings.open(t)
  crossing.write(Buffer.concat([closeFrame(4001, 'yours'), text('after the close')]))
  await crossing.ended
  await endings.until('ends', 11)
  t.same(wire(crossing), ['close 4001 yours'], 'frames after a close frame are not read')
  t.same(
    endings.ends.map(({ reason }) => reason),
    [
      ...Array.from({ length: 10 }, () => ({ type: 'normal' })),
      { type: 'remote', code: 4001, reason: 'yours' }
    ]
  )
  t.equal(endings.calls.length, 11 + 10)
})

void t.test('a stop while the server closes ends the connection once', async (t) => {
  const endings = await startEndings(t, {
    init: (ws) => ws.ok(0),
    handleIn: (_data, ws) => later(() => ws.stop('normal', 4000, undefined, 1))
  })
  const raw = await endings.open(t)
  raw.write(text('stop'))
  await endings.until('calls', 2)
  await endings.app.close()
  t.same(
    endings.ends.map(({ reason, state }) => ({ reason, state })),
    [{ reason: { type: 'normal' }, state: 1 }],
    'the stop of the running callback counts'
  )
  t.same(wire(raw), ['close 4000 '])
})

void t.test('app.close() waits for the running callback, then for terminate', async (t) => {
  const order: string[] = []
  const callback = gate()
  const terminated = gate()
  const endings = await startEndings(t, {
    handleIn: async (_data, ws) => {
      await callback.opened
      order.push('callback')
      return ws.push('sent' as never, 'after' as never)
    },
    terminate: async () => {
      await terminated.opened
      order.push('terminate')
    }
  }, { terminateTimeoutMs: 20_000 })
  const raw = await endings.open(t)
  raw.write(text('run')).write(text('dropped'))
  await endings.until('calls', 2)
  const closing = endings.app.close().then(() => order.push('closed'))
  for (let turn = 0; turn < 10; turn++) await later(() => {})
  t.same(wire(raw), [], 'the close frame waits for the callback')
  callback.open()
  t.same(await wireUntilClose(raw), ['text sent', 'close 1012 '])
  await raw.ended
  await endings.until('ends')
  await later(() => {})
  t.same(order, ['callback'])
  terminated.open()
  await closing
  t.same(order, ['callback', 'terminate', 'closed'])
  t.match(endings.ends, [{ reason: { type: 'shutdown' }, state: 'after' }])
})

void t.test('terminate gets the state of an init that returns after the end', async (t) => {
  const initialized = gate()
  const aborted: Array<Promise<unknown>> = []
  const endings = await startEndings(t, {
    init (ws) {
      aborted.push(once(ws.signal, 'abort'))
      return initialized.opened.then(() => ws.ok('state'))
    }
  }, { terminateTimeoutMs: 20_000 })
  const raw = await endings.open(t)
  const next = await endings.open(t)
  raw.socket.resetAndDestroy()
  next.write(Buffer.concat([text('too early'), closeFrame(1000)]))
  await Promise.all(aborted)
  t.same(endings.ends, [])
  initialized.open()
  await endings.until('ends', 2)
  t.match(endings.ends, [{ state: 'state', aborted: true }, { state: 'state', aborted: true }])
  t.strictSame(
    new Set(endings.ends.map(({ reason }) => (reason as { code?: number }).code)),
    new Set([1006, 1000])
  )
  await endings.app.close()
  t.equal(endings.ends.length, 2)
  t.same(
    endings.calls,
    ['init', 'init', 'in too early'],
    'the message sent before the close frame was handled'
  )
  t.same(endings.logs, [])
})

void t.test(
  'an init that never ends is abandoned after terminateTimeoutMs, and terminate is not called',
  async (t) => {
    const endings = await startEndings(t, { init: () => never })
    const raw = await endings.open(t)
    const from = performance.now()
    await endings.app.close()
    const ms = performance.now() - from
    t.ok(ms >= 95 && ms < 10_000, `${ms} ms`)
    t.same(wire(raw), ['close 1012 '])
    t.same(endings.ends, [])
    t.match(endings.logs, [TIMED_OUT])
    t.equal(endings.logs.length, 1)
  }
)

void t.test(
  'when an init returns after it was abandoned, terminate is still called once',
  async (t) => {
    const initialized = gate()
    const endings = await startEndings(t, { init: () => initialized.opened })
    await endings.open(t)
    await endings.app.close()
    t.same(endings.ends, [])
    initialized.open()
    await endings.until('ends')
    await later(() => {})
    t.match(endings.ends, [{ reason: { type: 'shutdown' }, state: undefined }])
    t.equal(endings.ends.length, 1)
  }
)

void t.test(
  'a callback that never ends is abandoned after terminateTimeoutMs, then terminate is called',
  async (t) => {
    const endings = await startEndings(t, { init: (ws) => ws.ok('before'), handleIn: () => never })
    const raw = await endings.open(t)
    raw.write(text('hang'))
    await endings.until('calls', 2)
    const from = performance.now()
    raw.socket.destroy()
    await endings.until('ends')
    const ms = performance.now() - from
    t.ok(ms >= 95 && ms < 10_000, `${ms} ms`)
    t.match(endings.ends, [{ reason: { type: 'remote', code: 1006 }, state: 'before' }])
    await endings.app.close()
    t.equal(endings.ends.length, 1)
    t.match(endings.logs, [TIMED_OUT])
    t.equal(endings.logs.length, 1)
  }
)

void t.test('a terminate that never ends is abandoned after terminateTimeoutMs', async (t) => {
  const endings = await startEndings(t, { terminate: () => never })
  await endings.open(t)
  const from = performance.now()
  await endings.app.close()
  const ms = performance.now() - from
  t.ok(ms >= 95 && ms < 10_000, `${ms} ms`)
  t.equal(endings.ends.length, 1)
  t.match(endings.logs, [{ ...TIMED_OUT, callback: 'terminate' }])
  t.equal(endings.logs.length, 1)
})

void t.test(
  'app.close() ends although terminate never ends, also when a callback ends meanwhile',
  async (t) => {
    for (const fails of [false, true]) {
      const callback = gate()
      const endings = await startEndings(t, {
        handleIn: async () => {
          await callback.opened
          if (fails) throw new Error('late')
        },
        terminate: () => never
      })
      const raw = await endings.open(t)
      raw.write(text('hang'))
      await endings.until('calls', 2)
      raw.socket.destroy()
      await endings.until('ends')
      callback.open()
      await endings.app.close()
      t.equal(endings.ends.length, 1)
      t.match(endings.logs.at(-1), { ...TIMED_OUT, callback: 'terminate' })
      t.equal(endings.logs.length, fails ? 3 : 2)
    }
  }
)

void t.test(
  'a mailbox that overflows while a callback runs closes with 1013 and terminates once',
  async (t) => {
    const endings = await startEndings(
      t,
      {
        handleIn: (_data, ws) => {
          const taken = Array.from({ length: 12 }, () => ws.post('info' as never))
          return later(() => {
            endings.calls.push(taken.join())
            return ws.stop('normal', 4000, 'unsent' as never)
          })
        }
      },
      { maxMailboxInfos: 10 }
    )
    const raw = await endings.open(t)
    raw.write(text('flood'))
    await endings.until('ends')
    t.same(await wireUntilClose(raw), ['close 1013 '])
    t.match(endings.ends, [
      { reason: { type: 'error', code: 1013, error: { code: 'FST_WEBSOCK_MAILBOX_FULL' } } }
    ])
    t.equal(endings.ends.length, 1)
    t.same(endings.calls.slice(2), [[...Array<boolean>(10).fill(true), false, false].join()])
  }
)

void t.test('a connection reset at any moment of init gets at most one terminate', async (t) => {
  const endings = await startEndings(t, {
    init: (ws) => later(() => ws.push(['hello' as never, 'hello' as never], 'state' as never)),
    terminate: () => later(() => {})
  })
  for (let round = 0; round < 40; round++) {
    const raw = await endings.open(t)
    if (round % 2 === 0) await later(() => {})
    if (round % 3 === 0) raw.write(text('x'))
    raw.socket.resetAndDestroy()
  }
  await endings.until('ends', 40)
  await endings.app.close()
  t.equal(endings.ends.length, 40)
  t.ok(
    endings.ends.every(
      ({ reason, state }) => state === 'state' && reason.type === 'remote' && reason.code === 1006
    )
  )
  t.same(endings.logs, [])
})
