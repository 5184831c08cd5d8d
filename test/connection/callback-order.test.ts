import t from 'tap'
import { setImmediate as turn } from 'node:timers/promises'
import type { TerminateReason } from '../../src/index.ts'
import { closeFrame, connectRaw, frame, handshake, text, type RawClient } from '../helpers/raw.ts'
import { LONG } from '../helpers/scale.ts'
import { startServer } from '../helpers/server.ts'

const SEEDS = LONG ? 600 : 120

/** The seeded random generator mulberry32. */
function randomFrom (seed: number): (below: number) => number {
  return (below) => {
    seed = (seed + 0x6d2b79f5) | 0
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

/** The instructions of a message to its callback. */
interface Step {
  n: number
  turns: number
  infos: number
  end?: 'stop' | 'throw' | 'reject' | 'unsendable'
}

/** The record of one connection's handler. */
interface Diary {
  calls: string[]
  running: number
  overlapped: boolean
  infosTaken: string[]
  terminated: TerminateReason[]
  callsAfterEnd: number
  gone: () => void
}

type Ending = 'close' | 'silent close' | 'cut' | 'half close' | Step['end']

function plan (seed: number): { packets: Array<Array<Step | 'ping'>>, ending: Ending } {
  const random = randomFrom(seed)
  let n = 0
  const endings: Ending[] = [
    'close',
    'silent close',
    'cut',
    'half close',
    'stop',
    'throw',
    'reject',
    'unsendable'
  ]
  const ending = endings[random(endings.length)]
  const packets = Array.from({ length: 1 + random(5) }, () =>
    Array.from({ length: 1 + random(8) }, (): Step | 'ping' =>
      random(6) === 0
        ? 'ping'
        : {
            n: n++,
            turns: [0, 0, 0, 1, 1, 2, 5][random(7)] as number,
            infos: random(4) === 0 ? 1 + random(3) : 0
          }
    )
  )
  if (ending === 'stop' || ending === 'throw' || ending === 'reject' || ending === 'unsendable') {
    const packet = packets[random(packets.length)] as Array<Step | 'ping'>
    packet.splice(random(packet.length + 1), 0, {
      n: 999,
      turns: ending === 'reject' ? 1 : random(3),
      infos: random(3),
      end: ending
    })
  }
  return { packets, ending }
}

const stepsOf = (packets: Array<Array<Step | 'ping'>>): Step[] =>
  packets.flat().filter((step) => step !== 'ping')
const textsOf = (client: RawClient): string[] =>
  client
    .frames()
    .filter(({ opcode }) => opcode === 1)
    .map(({ payload }) => payload.toString())

const CODES: Partial<Record<NonNullable<Ending>, number>> = {
  close: 3001,
  stop: 1000,
  throw: 1011,
  reject: 1011,
  unsendable: 1011
}
const TYPES: Record<NonNullable<Ending>, TerminateReason['type']> = {
  close: 'remote',
  'silent close': 'remote',
  cut: 'remote',
  'half close': 'remote',
  stop: 'normal',
  throw: 'error',
  reject: 'error',
  unsendable: 'error'
}

void t.test(
  `${SEEDS} random conversations keep order, end once, and call nothing after the end`,
  async (t) => {
    const diaries: Diary[] = []
    const rejections: unknown[] = []
    const onRejection = (error: unknown): void => {
      rejections.push(error)
    }
    process.on('unhandledRejection', onRejection)
    t.teardown(() => process.off('unhandledRejection', onRejection))
    const server = await startServer(
      t,
      (app) => {
        const enter = (diary: Diary, call: string): void => {
          if (diary.running++ > 0) diary.overlapped = true
          if (diary.terminated.length > 0) diary.callsAfterEnd++
          diary.calls.push(call)
        }
        app.get('/', {
          websocketHandler: {
            init: async ({ request }, ws) => {
              await turn()
              return ws.ok(
                diaries[Number(new URL(request.url, 'http://x').searchParams.get('seed'))] as Diary
              )
            },
            handleIn: (message, diary, ws) => {
              const { n, turns, infos, end } = JSON.parse(String(message.data)) as Step
              enter(diary, `frame ${n}`)
              const finish = (): any => {
                for (let i = 0; i < infos; i++) {
                  if (ws.post(`${n}.${i}`)) diary.infosTaken.push(`${n}.${i}`)
                }
                diary.running--
                if (end === 'throw' || end === 'reject') throw new Error('as planned')
                if (end === 'unsendable') return ws.push(['never', 5 as never])
                return end === 'stop'
                  ? ws.stop('normal', undefined, [`a${n}`, `b${n}`])
                  : ws.push([`a${n}`, `b${n}`])
              }
              if (turns === 0) return finish()
              return (async () => {
                for (let i = 0; i < turns; i++) await turn()
                return finish()
              })()
            },
            handleControl: (_frame, diary) => {
              enter(diary, 'ping')
              diary.running--
            },
            handleInfo: (info, diary, ws) => {
              enter(diary, `info ${String(info)}`)
              diary.running--
              return ws.push(`i${String(info)}`)
            },
            terminate: async (reason, diary) => {
              if (diary.running > 0) diary.overlapped = true
              diary.terminated.push(reason)
              await turn()
              diary.gone()
            }
          }
        })
      },
      { level: 'silent', websock: { checkOrigin: true } }
    )

    const converse = async (seed: number): Promise<string[]> => {
      let gone = (): void => {}
      const ended = new Promise<void>((resolve) => {
        gone = resolve
      })
      const diary: Diary = {
        calls: [],
        running: 0,
        overlapped: false,
        infosTaken: [],
        terminated: [],
        callsAfterEnd: 0,
        gone
      }
      diaries[seed] = diary
      const { packets, ending } = plan(seed)
      const client = await connectRaw(t, server.port)
      client.write(handshake(`/?seed=${seed}`))
      // Half of the clients send their first packet before the 101.
      if (seed % 2 === 0) await client.until(({ status }) => status === 101)
      for (const packet of packets) {
        client.write(
          Buffer.concat(
            packet.map((step) => (step === 'ping' ? frame(9, 'p') : text(JSON.stringify(step))))
          )
        )
        if (packet.length % 2 === 0) await turn()
      }
      const wanted = stepsOf(packets)
      const messages = wanted.reduce((sum, { infos }) => sum + 2 + infos, 0)
      if (ending === 'close' || ending === 'cut' || ending === 'half close') {
        if (seed % 3 > 0) await client.until(() => textsOf(client).length >= messages)
        if (ending === 'close') client.write(closeFrame(3001))
        else if (ending === 'cut') client.socket.resetAndDestroy()
        else client.socket.end()
      } else if (ending === 'silent close') {
        client.write(closeFrame())
      } else {
        await client.until(() => client.frames().some(({ opcode }) => opcode === 8))
        client.write(closeFrame(1000))
      }
      await ended
      await client.ended
      return judge({
        seed,
        diary,
        client,
        wanted,
        ending,
        all: messages,
        waited: seed % 3 > 0 && (ending === 'close' || ending === 'cut' || ending === 'half close')
      })
    }

    for (let from = 0; from < SEEDS; from += 20) {
      const faults = await Promise.all(
        Array.from({ length: 20 }, async (_, i) => {
          const seed = from + i
          const late = AbortSignal.timeout(15_000)
          const hang = new Promise<string[]>((resolve) =>
            late.addEventListener('abort', () => resolve([`hangs: ${JSON.stringify(plan(seed))}`]))
          )
          return (
            await Promise.race([converse(seed).catch((error: unknown) => [String(error)]), hang])
          ).map((fault) => `seed ${seed}: ${fault}`)
        })
      )
      t.same(faults.flat(), [], `seeds ${from} to ${from + 19}`)
    }
    t.same(rejections, [])
    await server.app.close()
    t.ok(
      diaries.every(
        ({ terminated, callsAfterEnd }) => terminated.length === 1 && callsAfterEnd === 0
      ),
      'terminate was called once, and no callback after it, also after the server has closed'
    )
  }
)

interface Outcome {
  seed: number
  diary: Diary
  client: RawClient
  wanted: Step[]
  ending: Ending
  all: number
  waited: boolean
}

/** Compares the records with the model. Returns the differences. */
function judge ({ diary, client, wanted, ending, all, waited }: Outcome): string[] {
  const faults: string[] = []
  const fail = (fault: string, detail: unknown): void => {
    faults.push(`${String(ending)}: ${fault}: ${JSON.stringify(detail)}`)
  }
  if (diary.overlapped) fail('two callbacks ran at once', diary.calls)
  if (diary.callsAfterEnd > 0) fail('called after terminate', diary.calls)
  if (diary.terminated.length !== 1) fail('terminate was not called once', diary.terminated)
  const type = diary.terminated[0]?.type
  if (ending !== undefined && type !== TYPES[ending]) fail('wrong reason', diary.terminated)

  const frames = diary.calls
    .filter((call) => call.startsWith('frame '))
    .map((call) => call.slice(6))
  const order = wanted.map(({ n }) => String(n))
  if (frames.join() !== order.slice(0, frames.length).join()) {
    fail('frames are out of order or lost', frames)
  }
  const last = wanted.findIndex(({ end }) => end !== undefined)
  if (last >= 0 && frames.length !== last + 1) {
    fail('the handled frames are not exactly those up to the one that ended the connection', frames)
  }
  const infos = diary.calls.filter((call) => call.startsWith('info ')).map((call) => call.slice(5))
  if (infos.join() !== diary.infosTaken.slice(0, infos.length).join()) {
    fail('infos are out of order', { infos, taken: diary.infosTaken })
  }

  // Only messages that callbacks returned are sent, in the order of the calls. The messages of one
  // result are sent together.
  const expected = diary.calls.flatMap((call) => {
    const [kind, n] = call.split(' ')
    const step = wanted.find((one) => String(one.n) === n)
    if (kind === 'info') return [`i${n ?? ''}`]
    return kind === 'frame' && (step?.end === undefined || step.end === 'stop')
      ? [`a${n ?? ''}`, `b${n ?? ''}`]
      : []
  })
  const got = textsOf(client)
  if (got.join() !== expected.slice(0, got.length).join()) {
    fail('the messages were sent in another order', { got, expected })
  }
  if (waited && (got.length !== all || infos.length !== diary.infosTaken.length)) {
    fail('messages or infos are missing', { got, all })
  }
  if (last >= 0 && got.length !== expected.length) {
    fail('messages that were pushed before the end are missing', { got, expected })
  }
  const closes = client.frames().filter(({ opcode }) => opcode === 8)
  const code = ending === undefined ? undefined : CODES[ending]
  if (code !== undefined && (closes.length !== 1 || closes[0]?.payload.readUInt16BE() !== code)) {
    fail('wrong close frame', closes)
  }
  return faults
}
