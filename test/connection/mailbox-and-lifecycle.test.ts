import t from 'tap'
import { deepStrictEqual, strictEqual } from 'node:assert'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { Mailbox, type Letter } from '../../src/connection/mailbox.ts'
import { EventLoop } from '../../src/event-loop.ts'
import { live, World } from '../helpers/lifecycle.ts'
import type { Op } from '../helpers/lifecycle-model.ts'
import { runs } from '../helpers/random.ts'

/** What a callback does while it runs, before it ends. */
type Inside = { readonly type: 'post' | 'offer', readonly bytes: number } | { readonly type: 'close' }

interface Scripted extends Letter {
  readonly n: number
  readonly async: boolean
  readonly inside: readonly Inside[]
}

type Command =
  | { readonly type: 'post' | 'offer', readonly bytes: number, readonly async: boolean, readonly inside: readonly Inside[] }
  | { readonly type: 'flood', readonly length: number }
  | { readonly type: 'finish' | 'turn' | 'close' }

interface Subject {
  post: (letter: Scripted) => void
  offer: (letter: Scripted) => boolean
  close: () => void
}

/** What the mailbox promises, with a plain array and no care for speed. */
class MailboxModel implements Subject {
  readonly log: string[] = []
  waiting: Scripted[] = []
  staged: Scripted[] = []
  running: Scripted | undefined
  full = false
  closed = false

  constructor (readonly maxLength: number, readonly maxBytes: number, readonly onDeliver: (letter: Scripted) => void) {}

  get length (): number { return this.waiting.length + this.staged.length }
  get bytes (): number { return this.waiting.reduce((sum, { bytes }) => sum + bytes, 0) }

  post (letter: Scripted): void {
    if (this.closed) return
    if (this.running === undefined) return this.#start(letter)
    this.waiting.push(letter)
    if (!this.full && (this.waiting.length >= this.maxLength || this.bytes >= this.maxBytes)) this.#mark(true)
  }

  offer (letter: Scripted): boolean {
    if (this.closed || this.length >= this.maxLength) return false
    if (letter.bytes > 0 && this.bytes + this.staged.reduce((sum, { bytes }) => sum + bytes, 0) >= this.maxBytes) return false
    this.staged.push(letter)
    return true
  }

  close (): void {
    this.closed = true
    this.waiting = []
    this.staged = []
  }

  finish (): void {
    this.log.push(`ends ${this.running?.n ?? ''}`)
    this.running = undefined
    const next = this.waiting.shift()
    if (next === undefined) return
    if (this.full && this.waiting.length <= this.maxLength / 2 && this.bytes <= this.maxBytes / 2) this.#mark(false)
    this.#start(next)
  }

  turn (): void {
    // They wait until each is posted; what is offered meanwhile has the next turn.
    for (let due = this.staged.length; due > 0; due--) this.post(this.staged.shift() as Scripted)
  }

  #start (letter: Scripted): void {
    this.running = letter
    this.log.push(`starts ${letter.n}`)
    this.onDeliver(letter)
    if (!letter.async) this.finish()
  }

  #mark (full: boolean): void {
    this.full = full
    this.log.push(full ? 'full' : 'read on')
  }
}

/** Carries out what a callback does; the letters it makes are numbered by their maker, so that both sides agree. */
function actInside (subject: Subject, log: string[], { n, inside }: Scripted): void {
  inside.forEach((action, i) => {
    if (action.type === 'close') return subject.close()
    const letter = { n: n * 10 + i, bytes: action.bytes, async: false, inside: [] }
    if (action.type === 'post') subject.post(letter)
    else log.push(`offers ${letter.n} ${String(subject.offer(letter))}`)
  })
}

/** The real one, with the same log. */
function buildMailbox (maxLength: number, maxBytes: number): { mailbox: Mailbox<Scripted>, log: string[], finish: () => void } {
  const log: string[] = []
  let finish: () => void = () => {}
  const mailbox: Mailbox<Scripted> = new Mailbox<Scripted>({
    limits: { maxMailboxLength: maxLength, maxMailboxBytes: maxBytes },
    sharing: { loop: new EventLoop() },
    deliver (letter) {
      log.push(`starts ${letter.n}`)
      actInside(mailbox, log, letter)
      const end = (): void => { log.push(`ends ${letter.n}`) }
      if (!letter.async) return end()
      return new Promise<void>((resolve) => { finish = () => { end(); resolve() } })
    },
    holdReading: (full) => log.push(full ? 'full' : 'read on')
  })
  return { mailbox, log, finish: () => finish() }
}

const bytes = fc.integer({ min: 0, max: 40 })
const inside: fc.Arbitrary<readonly Inside[]> = fc.array(fc.oneof(
  { weight: 6, arbitrary: fc.record({ type: fc.constantFrom('post', 'offer'), bytes }) },
  { weight: 1, arbitrary: fc.constant({ type: 'close' as const }) }
), { maxLength: 3, size: 'xsmall' })
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ type: fc.constantFrom('post', 'offer'), bytes, async: fc.boolean(), inside }) },
  { weight: 6, arbitrary: fc.constant({ type: 'finish' as const }) },
  { weight: 4, arbitrary: fc.constant({ type: 'turn' as const }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('flood'), length: fc.integer({ min: 1, max: 2500 }) }) },
  { weight: 1, arbitrary: fc.constant({ type: 'close' as const }) }
)

/** Carries out the commands on both; gives how often they were full. */
async function compareMailboxes (maxLength: number, maxBytes: number, commands: readonly Command[]): Promise<number> {
  const { mailbox, log, finish } = buildMailbox(maxLength, maxBytes)
  const model: MailboxModel = new MailboxModel(maxLength, maxBytes, (letter) => actInside(model, model.log, letter))
  const end = async (): Promise<void> => {
    if (model.running === undefined) return
    finish()
    model.finish()
    // Not a turn: what was offered must not come before one.
    await Promise.resolve()
  }
  const carryOut = async (one: Command, n: number): Promise<void> => {
    switch (one.type) {
      case 'post':
        mailbox.post({ n, ...one })
        return model.post({ n, ...one })
      case 'offer':
        return strictEqual(mailbox.offer({ n, ...one }), model.offer({ n, ...one }), `offer ${n}`)
      case 'flood':
        for (let i = 0; i < one.length; i++) {
          const letter = { n: n * 10_000 + i, bytes: i % 2, async: i % 700 === 0, inside: [] }
          mailbox.post(letter)
          model.post(letter)
        }
        return
      case 'finish': return end()
      case 'turn':
        await turn()
        return model.turn()
      case 'close':
        mailbox.close()
        model.close()
    }
  }
  let full = 0
  const agree = (): void => {
    full += log.filter((line) => line === 'full').length
    deepStrictEqual(log.splice(0), model.log.splice(0))
    deepStrictEqual({ length: mailbox.length, busy: mailbox.busy }, { length: model.length, busy: model.running !== undefined })
  }
  for (const [i, one] of commands.entries()) {
    await carryOut(one, i + 1)
    agree()
  }
  // What is left comes too, and then nothing.
  while (model.running !== undefined || model.staged.length > 0) {
    await end()
    await turn()
    model.turn()
    agree()
  }
  deepStrictEqual(model.waiting, [])
  return full
}

void t.test('whatever is done to a mailbox, it does what an array would', async (t) => {
  const settings = runs(3000)
  let commands = 0
  let full = 0
  await fc.assert(fc.asyncProperty(
    fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 200 }), fc.array(command, { maxLength: 40, size: 'max' }),
    async (maxLength, maxBytes, list) => {
      commands += list.length
      full += await compareMailboxes(maxLength, maxBytes, list)
    }
  ), settings)
  t.ok(full > 0 || settings.numRuns < 100, 'some of them were full')
  t.comment(`${settings.numRuns} mailboxes, full ${full} times, ${commands} commands, seed ${settings.seed}`)
})

const script = fc.record({
  async: fc.boolean(),
  infos: fc.nat({ max: 2 }),
  outcome: fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom('nothing' as const, 'ok' as const, 'push' as const, 'list' as const) },
    { weight: 1, arbitrary: fc.constantFrom('stop' as const, 'detail' as const, 'error' as const, 'throw' as const, 'unsendable' as const, 'no result' as const, 'bad code' as const) }
  )
})
const letter = fc.tuple(script, fc.constantFrom('frame' as const, 'frame' as const, 'fragments' as const, 'ping' as const)).map(([one, kind]) => ({ ...one, kind }))
const op: fc.Arbitrary<Op> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ type: fc.constant('packet'), letters: fc.array(letter, { maxLength: 6, size: 'max' }), close: fc.nat({ max: 19 }).map((n) => n === 0) }) },
  { weight: 10, arbitrary: fc.constant({ type: 'release' as const }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constantFrom('info', 'timer'), script }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('close'), code: fc.constantFrom(undefined, 1000, 3000, 4999) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constantFrom('ticks', 'ticks', 'drain', 'unmasked', 'bad text', 'fin', 'reset') }) }
)
const plan = fc.record({
  init: script, terminate: fc.constantFrom('sync', 'async', 'throw', 'reject'), ops: fc.array(op, { maxLength: 16, size: 'max' }), eager: fc.boolean()
})

void t.test('whatever happens to a connection, its handler sees what the contract tells', async (t) => {
  const faults: unknown[] = []
  const onFault = (error: unknown): void => { faults.push(error) }
  process.on('unhandledRejection', onFault)
  t.teardown(() => process.off('unhandledRejection', onFault))
  const settings = runs(400)
  const world = new World(t)
  const ends: Record<string, number> = {}
  let ops = 0
  await fc.assert(fc.asyncProperty(plan, async (one) => {
    ops += one.ops.length
    const { real, model } = await live(t, world, one)
    deepStrictEqual(real, model)
    const end = /^terminate (\w+)/.exec(model.log.at(-1) ?? '')?.[1] ?? 'init failed'
    ends[end] = (ends[end] ?? 0) + 1
  }), settings)
  t.same(faults, [])
  t.ok(Object.keys(ends).length === 5 || settings.numRuns < 300, 'they ended in all ways')
  t.comment(`${settings.numRuns} connections, ${ops} events, ends ${JSON.stringify(ends)}, seed ${settings.seed}`)
})
