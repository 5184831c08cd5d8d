import t, { type Test } from 'tap'
import { once } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import { connect, type Client } from '../helpers/client.ts'
import { buildPrefix, cut, mutateFrame, mutateHandshake } from '../helpers/fuzz.ts'
import { FUZZ_SEED, pick, randomFrom, type Random } from '../helpers/random.ts'
import { closeFrame, connectRaw, frame, handshake } from '../helpers/raw.ts'
import { LONG } from '../helpers/scale.ts'
import { startServer, type Teardown, type TestServer } from '../helpers/server.ts'

// FUZZ_INPUTS=1000000 takes ten times as long as the long run. FUZZ_TRIAL=1234 begins with trial
// 1234.
const INPUTS = Number(process.env.FUZZ_INPUTS ?? (LONG ? 100_000 : 10_000))
const FIRST = Number(process.env.FUZZ_TRIAL ?? 0)
const AT_ONCE = 64

/** The calls of the handler for one connection. */
interface Seen {
  inits: number
  messages: number
  terminated: number
  calledAfterEnd: number
}

interface Target extends TestServer {
  readonly seen: Map<string, Seen>
  readonly faults: unknown[]
  readonly bystander: Client
  slowestMs: number
}

/** Starts an echo server, and connects a well-behaved peer. */
async function startTarget (t: Test): Promise<Target> {
  const seen = new Map<string, Seen>()
  const faults: unknown[] = []
  const onFault = (error: unknown): void => { faults.push(error) }
  process.on('unhandledRejection', onFault).on('uncaughtExceptionMonitor', onFault)
  t.teardown(() =>
    process.off('unhandledRejection', onFault).off('uncaughtExceptionMonitor', onFault)
  )
  const server = await startServer(t, (app) => {
    const see = (ws: { id: string }, count: (one: Seen) => void): void => {
      const one = seen.get(ws.id) ?? { inits: 0, messages: 0, terminated: 0, calledAfterEnd: 0 }
      seen.set(ws.id, one)
      if (one.terminated > 0) one.calledAfterEnd++
      count(one)
    }
    for (const path of ['/', '/hooks']) {
      app.get(path, {
        ...(path === '/'
          ? {}
          : {
              preValidation: async () => {
                await turn()
              }
            }),
        websocketOptions: { closeTimeoutMs: 100, maxMessageBytes: 64 * 1024 },
        websocketHandler: {
          init: (_args, ws) => {
            see(ws, (one) => one.inits++)
          },
          handleIn: (message, _state, ws) => {
            see(ws, (one) => one.messages++)
            return message.data.length % 7 === 0
              ? turn().then(() => ws.push(message))
              : ws.push(message)
          },
          handleControl: (_frame, _state, ws) => {
            see(ws, () => {})
          },
          terminate: (_reason, _state, ws) => {
            see(ws, (one) => one.terminated++)
          }
        }
      })
    }
    app.get('/plain', async () => 'hello')
  }, { level: 'silent', websock: { closeTimeoutMs: 100 } })
  return { ...server, seen, faults, bystander: await connect(t, server.url('/')), slowestMs: 0 }
}

/**
 * Runs numbered trials until one returns true. Each has its own seed, which the error of a failed
 * trial contains.
 */
async function fuzz (
  target: Target,
  salt: number,
  trial: (random: Random, t: Teardown) => Promise<boolean>
): Promise<void> {
  const { bystander } = target
  const state = { next: FIRST, last: false }
  const attack = async (): Promise<void> => {
    while (!state.last) {
      const n = state.next++
      const cleanups: Array<() => unknown> = []
      try {
        if (
          await trial(randomFrom(FUZZ_SEED * 31 + salt + n), {
            teardown: (cleanup) => cleanups.push(cleanup)
          })
        ) {
          state.last = true
        }
      } catch (cause) {
        state.last = true
        throw new Error(`FUZZ_SEED=${FUZZ_SEED} FUZZ_TRIAL=${n}: ${String(cause)}`, { cause })
      } finally {
        for (const cleanup of cleanups) cleanup()
      }
    }
  }
  const standBy = async (): Promise<void> => {
    while (!state.last) {
      const since = performance.now()
      bystander.send(String(since))
      const data = await bystander.next()
      if (data !== String(since)) throw new Error(`the bystander got ${String(data)} for ${since}`)
      target.slowestMs = Math.max(target.slowestMs, performance.now() - since)
      for (let i = 0; i < 10; i++) await turn()
    }
  }
  await Promise.all([standBy(), ...Array.from({ length: AT_ONCE }, attack)])
}

/**
 * Checks the end: only the bystander is left, each connection ended once, and the server closes
 * soon.
 */
async function checkAfter (t: Test, target: Target): Promise<void> {
  const { app, seen, faults, bystander } = target
  const open = (): Promise<number> =>
    new Promise((resolve) => app.server.getConnections((_error, count) => resolve(count)))
  const late = AbortSignal.timeout(20_000)
  while (await open() > 1 && !late.aborted) await turn()
  t.equal(await open(), 1, 'the bystander is the only one left')
  const all = [...seen.values()]
  const left = all.filter(
    ({ inits, terminated, calledAfterEnd }) => inits !== 1 || terminated !== 1 || calledAfterEnd > 0
  )
  t.same(
    left.map(({ inits, terminated, calledAfterEnd }) => ({ inits, terminated, calledAfterEnd })),
    [{ inits: 1, terminated: 0, calledAfterEnd: 0 }],
    'terminate ran once for each init, and nothing after it'
  )
  bystander.send('last')
  t.equal(await bystander.next(), 'last')
  const since = performance.now()
  await app.close()
  const ms = performance.now() - since
  t.ok(ms < 15_000, `the server closes in ${ms.toFixed(0)} ms`)
  t.equal((await bystander.closed).code, 1012)
  t.ok(all.every(({ terminated }) => terminated === 1))
  t.same(faults, [])
}

async function within<T> (what: string, promise: Promise<T>): Promise<T> {
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(), 20_000)
  try {
    return await Promise.race([
      promise,
      once(late.signal, 'abort').then(() => {
        throw new Error(`${what} within 20 s`)
      })
    ])
  } finally {
    clearTimeout(timer)
  }
}

// Two busy cores take 40 s.
t.setTimeout(240_000)

void t.test(
  'with random frames each connection ends with its client, and others are served',
  async (t) => {
    const target = await startTarget(t)
    const counts = { connections: 0, frames: 0, mutated: 0, echoes: 0, bytes: 0 }
    const closes: Record<string, number> = {}
    await fuzz(target, 0, async (random, t) => {
      const client = await connectRaw(t, target.port)
      client.socket.setNoDelay()
      const { frames, messages } = buildPrefix(random, random(36))
      const prefix = Buffer.concat([
        random(2) === 0 ? Buffer.from(handshake('/')) : Buffer.from(handshake('/hooks')),
        ...frames,
        frame(9, 'all read')
      ])
      for (const piece of cut(random, prefix, 1 + random(4))) {
        client.write(piece)
        await turn()
      }
      // Everything before the fault is answered, so each of these frames was an input.
      await client.until(() => {
        const answers = client.frames()
        return (
          answers.some(
            ({ opcode, payload }) => opcode === 10 && payload.toString() === 'all read'
          ) &&
          answers.filter(({ opcode }) => opcode < 3).length === messages
        )
      })
      const fault = mutateFrame(random)
      for (const piece of [
        ...cut(random, fault, 1 + random(2)),
        ...(random(3) === 0 ? [mutateFrame(random)] : [])
      ]) {
        client.write(piece)
      }
      const ending = pick(random, ['fin', 'fin', 'close', 'reset', 'wait'] as const)
      // FIN arrives after the fault. A reset may overtake it.
      if (ending === 'close') client.write(closeFrame(pick(random, [1000, 1005, 4000, 99])))
      if (ending === 'reset') for (let i = 0; i < 3; i++) await turn()
      if (ending === 'wait') {
        for (let i = 0; i < 3 && client.frames().every(({ opcode }) => opcode !== 8); i++) {
          await turn()
        }
      }
      if (ending === 'reset') client.socket.resetAndDestroy()
      else client.socket.end()
      await within('TCP does not end', client.ended)
      const close = client.frames().find(({ opcode }) => opcode === 8)
      const code =
        close === undefined
          ? 'none'
          : close.payload.length < 2
            ? 'empty'
            : String(close.payload.readUInt16BE())
      closes[code] = (closes[code] ?? 0) + 1
      counts.connections++
      counts.frames += frames.length
      counts.mutated++
      counts.echoes += messages
      counts.bytes += prefix.length + fault.length
      return counts.frames + counts.mutated >= INPUTS * 0.9
    })
    await checkAfter(t, target)
    t.ok(
      ['1002', '1007', '1009'].every((code) => (closes[code] ?? 0) > 0),
      'each kind of protocol error occurred'
    )
    t.equal(closes['1011'] ?? 0, 0, 'the handler did not fail')
    t.comment(
      `seed ${FUZZ_SEED}: ${JSON.stringify(counts)}, close codes ${JSON.stringify(closes)}, ` +
      `slowest echo of the bystander ${target.slowestMs.toFixed(0)} ms`
    )
  }
)

void t.test(
  'a random handshake is answered or dropped, and other connections are served',
  async (t) => {
    const target = await startTarget(t)
    const statuses: Record<string, number> = {}
    let inputs = 0
    await fuzz(target, 1_000_003, async (random, t) => {
      const client = await connectRaw(t, target.port)
      const bytes = mutateHandshake(random)
      for (const piece of cut(random, bytes, random(4) === 0 ? 3 : 1)) {
        client.write(piece)
        if (random(2) === 0) await turn()
      }
      client.socket.end()
      await within(
        `TCP does not end after ${JSON.stringify(bytes.toString('latin1'))}`,
        client.ended
      )
      const status = client.bytes.length === 0 ? 'none' : String(client.status)
      statuses[status] = (statuses[status] ?? 0) + 1
      if (!KNOWN.has(status)) {
        throw new Error(
          `${client.text.slice(0, 300)} for ` +
          `${JSON.stringify(bytes.toString('latin1').slice(0, 1000))}`
        )
      }
      return ++inputs >= INPUTS * 0.1
    })
    await checkAfter(t, target)
    t.ok(
      ['101', '400', '403', '404', '426'].every((status) => (statuses[status] ?? 0) > 0),
      'each kind of refusal occurred'
    )
    t.comment(
      `seed ${FUZZ_SEED}: ${inputs} handshakes, answers ${JSON.stringify(statuses)}, slowest ` +
      `echo of the bystander ${target.slowestMs.toFixed(0)} ms`
    )
  }
)

/** The expected answers. `none`: the client ended TCP within its request. */
const KNOWN = new Set([
  '101',
  '100',
  '200',
  '400',
  '403',
  '404',
  '405',
  '417',
  '426',
  '431',
  'none'
])
