import { once } from 'node:events'
import { setImmediate as turn, setTimeout as later } from 'node:timers/promises'
import type { TerminateReason, WebsocketContext } from '../../src/index.ts'
import { INFO, LifeModel, type Op, type Script } from './lifecycle-model.ts'
import { closeFrame, connectRaw, frame, handshake, text, type RawClient } from './raw.ts'
import { startServer, type Teardown, type TestServer } from './server.ts'

export interface Plan {
  readonly init: Script
  readonly terminate: 'sync' | 'async' | 'throw' | 'reject'
  readonly ops: readonly Op[]
  /** The first packet is sent together with the handshake. */
  readonly eager: boolean
}

/** The record of one connection's handler, and its scripts. */
interface Diary {
  readonly plan: Plan
  readonly scripts: Map<string, Script>
  readonly log: string[]
  ws: WebsocketContext<string, unknown, string> | undefined
  release: () => void
}

/** The server of the connections. After a drain a new one is started. */
export class World {
  readonly #t: Teardown
  readonly #diaries: Diary[] = []
  #server: Promise<TestServer> | undefined

  constructor (t: Teardown) {
    this.#t = t
  }

  async open (diary: Diary): Promise<{ server: TestServer, path: string }> {
    const server = await (this.#server ??= startServer(this.#t, (app) => this.#declare(app), {
      level: 'silent',
      websock: { maxMailboxLength: 1_048_576 }
    }))
    return { server, path: `/?n=${this.#diaries.push(diary) - 1}` }
  }

  /** The next connection gets a new server. */
  forget (): void {
    this.#server = undefined
  }

  #declare (app: TestServer['app']): void {
    const of = new Map<string, Diary>()
    const call = (kind: string, id: string, state: unknown, ws: any): any => {
      const diary = of.get(ws.id) as Diary
      if (kind === 'info' && ws.signal.aborted) diary.log.push('called after the end')
      if (id === 'tick' || id.startsWith('barrier')) return
      diary.log.push(`${kind} ${id}, state ${String(state ?? '')}`)
      const script = diary.scripts.get(id) ?? INFO
      const finish = (): unknown => {
        diary.log.push(`ends ${id}`)
        for (let i = 0; i < script.infos; i++) {
          diary.log.push(`posted ${id}.${i} ${String(ws.post(`${id}.${i}`))}`)
        }
        return resultOf(script.outcome, id, ws)
      }
      if (!script.async) return finish()
      return new Promise<void>((resolve) => { diary.release = resolve }).then(finish)
    }
    app.get('/', {
      websocketHandler: {
        init: ({ request }, ws) => {
          const diary = this.#diaries[
            Number(new URL(request.url, 'http://x').searchParams.get('n'))
          ] as Diary
          diary.ws = ws as never
          of.set(ws.id, diary)
          return call('init', '0', undefined, ws)
        },
        handleIn: ({ data }, state, ws) => call('frame', String(data), state, ws),
        handleControl: ({ data }, state, ws) => call('ping', data.toString(), state, ws),
        handleInfo: (info, state, ws) => call('info', String(info), state, ws),
        terminate: (reason, state, ws) => {
          const { log, plan } = of.get(ws.id) as Diary
          log.push(`terminate ${describe(reason)}, state ${String(state ?? '')}`)
          if (plan.terminate === 'throw') throw new Error('as planned')
          if (plan.terminate !== 'sync') {
            return turn().then(() => {
              if (plan.terminate === 'reject') throw new Error('as planned')
            })
          }
        }
      }
    })
  }
}

function resultOf (outcome: Script['outcome'], id: string, ws: any): unknown {
  switch (outcome) {
    case 'nothing': return
    case 'ok': return ws.ok(id)
    case 'push': return ws.push(`${id}a`)
    case 'list': return ws.push([`${id}a`, `${id}b`], id)
    case 'stop': return ws.stop('normal', undefined, `${id}z`, id)
    case 'detail': return ws.stop('restart', [4000, 'detail'])
    case 'error': return ws.stop(new Error('as planned'), undefined, [`${id}z`], id)
    case 'throw': throw new Error('as planned')
    case 'unsendable': return ws.push([`${id}a`, 5], id)
    case 'no result': return 'nonsense'
    case 'bad code': return ws.stop('normal', 1005, `${id}a`, id)
  }
}

const describe = (reason: TerminateReason): string =>
  [reason.type, ...('code' in reason ? [reason.code] : [])].join(' ')

/** Runs a plan on a real connection and in the model. Returns both records. */
export async function runPlan (
  t: Teardown,
  world: World,
  plan: Plan
): Promise<Record<'real' | 'model', { readonly log: string[], readonly wire: string[] }>> {
  const diary: Diary = {
    plan,
    scripts: new Map([['0', plan.init]]),
    log: [],
    ws: undefined,
    release: () => {}
  }
  const life = new Life(await world.open(diary), diary)
  life.client = await connectRaw(t, life.server.port)
  await life.begin()
  for (const op of plan.ops.slice(life.done)) {
    await life.act(op)
    await life.settle()
  }
  await life.finish()
  if (life.drained !== undefined) world.forget()
  return {
    real: { log: diary.log, wire: wireOf(life.client) },
    model: { log: life.model.log, wire: life.model.wire }
  }
}

function wireOf (client: RawClient): string[] {
  return client
    .frames()
    .filter(({ opcode }) => opcode !== 10)
    .map(({ opcode, payload }) =>
      opcode !== 8
        ? payload.toString()
        : payload.length === 0
          ? 'close'
          : `close ${payload.readUInt16BE()}`
    )
}

const BY_THE_CLIENT: ReadonlySet<Op['type']> = new Set([
  'packet',
  'unmasked',
  'bad text',
  'close',
  'fin',
  'reset'
])

class Life {
  readonly model = new LifeModel()
  readonly server: TestServer
  readonly path: string
  readonly diary: Diary
  client!: RawClient
  drained: Promise<unknown> | undefined
  done = 0
  #ids = 0
  #open = true

  constructor ({ server, path }: { server: TestServer, path: string }, diary: Diary) {
    this.server = server
    this.path = path
    this.diary = diary
  }

  async begin (): Promise<void> {
    const { init, ops, eager } = this.diary.plan
    this.model.post({ kind: 'init', id: '0', script: init })
    const first = ops[0]
    const bytes: Buffer[] = [Buffer.from(handshake(this.path))]
    if (eager && first?.type === 'packet') {
      this.done = 1
      bytes.push(this.#packet(first))
    }
    this.client.write(Buffer.concat(bytes))
    await this.client.until(({ status, text }) => status === 101 && text.includes('\r\n\r\n'))
    if (this.done === 1 && first?.type === 'packet' && first.close) await this.#leave(() => {})
    await this.settle()
  }

  /**
   * Waits until the last operation has had its effect. A pong proves that the server has read
   * everything before it. `signal` shows an end.
   */
  async settle (): Promise<void> {
    this.model.turn()
    if (this.model.ended) {
      const signal = this.diary.ws?.signal as AbortSignal
      if (!signal.aborted) await once(signal, 'abort', { signal: AbortSignal.timeout(20_000) })
      if (this.#open) {
        await this.client.until((client) => client.frames().some(({ opcode }) => opcode === 8))
      }
    } else {
      const payload = `barrier ${this.#ids++}`
      this.client.write(frame(9, payload))
      await this.client.until((client) =>
        client.frames().some((one) => one.opcode === 10 && one.payload.toString() === payload)
      )
    }
    // Infos of a callback arrive at the end of a turn, and the infos of their callbacks at the end
    // of the next turn.
    for (let i = 0; i < 3; i++) await turn()
  }

  async act (op: Op): Promise<void> {
    const { model, diary, client } = this
    if (!this.#open && BY_THE_CLIENT.has(op.type)) return
    // A client that got a close frame answers and ends its socket. After a protocol error the
    // server reads no close frame.
    const hangUp = model.ended ? () => { client.socket.end() } : () => {}
    switch (op.type) {
      case 'packet':
        client.write(this.#packet(op))
        return op.close ? this.#leave(hangUp) : undefined
      case 'info':
      case 'timer': return this.#post(op.type, op.script)
      case 'release':
        if (model.running === undefined) return
        diary.release()
        return model.release()
      case 'ticks':
        diary.ws?.postInterval('tick', 1)
        return
      case 'drain':
        this.drained ??= this.server.app.websock.drain()
        return model.drain()
      case 'unmasked':
      case 'bad text':
        client.write(
          op.type === 'unmasked' ? Buffer.from([0x81, 1, 97]) : frame(1, Buffer.from([0xff]))
        )
        return model.end(
          op.type === 'unmasked' ? 'error 1002' : 'error 1007',
          op.type === 'unmasked' ? 'close 1002' : 'close 1007'
        )
      case 'close':
        client.write(closeFrame(op.code))
        model.peerEnd(`remote ${op.code ?? 1005}`, {
          frame: op.code === undefined ? 'close' : `close ${op.code}`
        })
        return this.#leave(hangUp)
      case 'fin':
        model.peerEnd('remote 1006', { open: true })
        this.#open = false
        client.socket.end()
        return
      case 'reset':
        model.peerEnd('remote 1006')
        return this.#leave(() => client.socket.resetAndDestroy())
    }
  }

  async finish (): Promise<void> {
    while (this.model.running !== undefined) {
      await this.act({ type: 'release' })
      await this.settle()
    }
    if (this.#open) await this.act({ type: 'close', code: 3001 })
    await this.#leave(() => {})
    await this.settle()
    if (this.drained === undefined) return
    await Promise.race([
      this.drained,
      later(20_000, undefined, { ref: false }).then(() => {
        throw new Error('drain() hangs')
      })
    ])
    await this.server.app.close()
  }

  #packet ({ letters, close }: Op & { type: 'packet' }): Buffer {
    const frames = letters.map(({ kind, ...script }) => {
      const id = String(++this.#ids)
      this.diary.scripts.set(id, script)
      this.model.post({ kind: kind === 'ping' ? 'ping' : 'frame', id, script })
      if (kind === 'ping') return frame(9, id)
      return kind === 'frame'
        ? text(id)
        : Buffer.concat([
          frame(1, id.slice(0, 1), { fin: false }),
          frame(0, '', { fin: false }),
          frame(0, id.slice(1))
        ])
    })
    if (close) this.model.peerEnd('remote 3002', { frame: 'close 3002' })
    return Buffer.concat(close ? [...frames, closeFrame(3002)] : frames)
  }

  async #post (how: 'info' | 'timer', script: Script): Promise<void> {
    const id = String(++this.#ids)
    this.diary.scripts.set(id, script)
    const taken = this.model.offer({ kind: 'info', id, script })
    if (how === 'timer') {
      this.diary.ws?.postAfter(id, 1)
      // Timers with the same delay fire in the order in which they were set.
      return later(1)
    }
    const posted = this.server.app.websock.ref(this.diary.ws?.ref.address ?? '').post(id)
    if (posted !== taken) {
      throw new Error(`info ${id}: ${String(posted)} where the model says ${String(taken)}`)
    }
  }

  async #leave (go: () => void): Promise<void> {
    this.#open = false
    go()
    const late = AbortSignal.timeout(20_000)
    await Promise.race([
      this.client.ended,
      once(late, 'abort').then(() => {
        throw new Error('TCP does not end')
      })
    ])
  }
}
