import t from 'tap'
import { deepStrictEqual } from 'node:assert'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { Mailbox, type Letter } from '../../src/connection/mailbox.ts'
import { EventLoop } from '../../src/event-loop.ts'
import { runPlan, World } from '../helpers/lifecycle.ts'
import type { Op } from '../helpers/lifecycle-model.ts'
import { runs } from '../helpers/random.ts'
import { LONG } from '../helpers/scale.ts'

/** A letter to be created: a frame, an info, or a system message. */
type NewLetter =
  { readonly type: 'frame', readonly bytes: number } | { readonly type: 'info' | 'system' }

/** The actions of a callback before it ends. */
type CallbackAction = NewLetter | { readonly type: 'close' } | { readonly type: 'retain' }

interface Scripted extends Letter {
  readonly n: number
  readonly async: boolean
  readonly actions: readonly CallbackAction[]
}

type Frame = Scripted & { readonly bytes: number }

type Command =
  | (NewLetter & { readonly async: boolean, readonly actions: readonly CallbackAction[] })
  | { readonly type: 'flood', readonly length: number }
  | { readonly type: 'finish' | 'turn' | 'close' | 'retain' }

interface Limits {
  readonly maxMailboxLength: number
  readonly maxMailboxBytes: number
  readonly maxMailboxInfos: number
}

interface TestedMailbox {
  post: (letter: Frame) => void
  offer: (letter: Scripted) => boolean
  close: () => void
  retain: (isKept: (letter: Scripted) => boolean) => void
}

const isFrame = (letter: Scripted): letter is Frame => letter.bytes !== undefined
const isInfo = (letter: Scripted): boolean => !isFrame(letter) && letter.isSystem !== true

/** A model of the mailbox: a simple array. */
class MailboxModel implements TestedMailbox {
  readonly log: string[] = []
  waiting: Scripted[] = []
  staged: Scripted[] = []
  running: Scripted | undefined
  full = false
  closed = false

  constructor (readonly limits: Limits, readonly onDeliver: (letter: Scripted) => void) {}

  get length (): number { return this.waiting.length + this.staged.length }
  get frames (): number { return this.waiting.filter(isFrame).length }
  get bytes (): number {
    return this.waiting.filter(isFrame).reduce((sum, { bytes }) => sum + bytes, 0)
  }

  get infos (): number { return [...this.waiting, ...this.staged].filter(isInfo).length }

  post (letter: Frame): void {
    if (this.closed) return
    if (this.running === undefined) return this.#start(letter)
    this.waiting.push(letter)
    if (
      !this.full &&
      (this.frames >= this.limits.maxMailboxLength || this.bytes >= this.limits.maxMailboxBytes)
    ) {
      this.#mark(true)
    }
  }

  offer (letter: Scripted): boolean {
    if (this.closed || (isInfo(letter) && this.infos >= this.limits.maxMailboxInfos)) return false
    this.staged.push(letter)
    return true
  }

  close (): void { this.retain(() => false) }

  retain (isKept: (letter: Scripted) => boolean): void {
    this.closed = true
    this.waiting = this.waiting.filter(isKept)
    this.staged = []
  }

  finish (): void {
    this.log.push(`ends ${this.running?.n ?? ''}`)
    this.running = undefined
    this.#next()
  }

  turn (): void {
    this.waiting.push(...this.staged.splice(0))
    if (this.running === undefined) this.#next()
  }

  #next (): void {
    const next = this.waiting.shift()
    if (next === undefined) return
    if (
      this.full && this.frames <= this.limits.maxMailboxLength / 2 &&
      this.bytes <= this.limits.maxMailboxBytes / 2
    ) {
      this.#mark(false)
    }
    this.#start(next)
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

/**
 * Runs the actions of a callback. The letters that it creates are numbered by their creator, so
 * that both sides have the same numbers.
 */
function performActions (subject: TestedMailbox, log: string[], { n, actions }: Scripted): void {
  actions.forEach((action, i) => {
    if (action.type === 'close') return subject.close()
    if (action.type === 'retain') return subject.retain(isFrame)
    const letter = letterOf(action, { n: n * 10 + i, async: false, actions: [] })
    if (isFrame(letter)) subject.post(letter)
    else log.push(`offers ${letter.n} ${String(subject.offer(letter))}`)
  })
}

function letterOf (
  newLetter: NewLetter,
  { n, async, actions }: Omit<Scripted, 'bytes' | 'isSystem'>
): Scripted {
  if (newLetter.type === 'frame') return { n, async, actions, bytes: newLetter.bytes }
  return newLetter.type === 'system' ? { n, async, actions, isSystem: true } : { n, async, actions }
}

/** The real mailbox, with the same log. */
function buildMailbox (limits: Limits): {
  mailbox: Mailbox<Scripted>
  log: string[]
  finish: () => void
} {
  const log: string[] = []
  let finish: () => void = () => {}
  const mailbox: Mailbox<Scripted> = new Mailbox<Scripted>({
    limits,
    sharing: { loop: new EventLoop() },
    deliver (letter) {
      log.push(`starts ${letter.n}`)
      performActions(mailbox, log, letter)
      const end = (): void => { log.push(`ends ${letter.n}`) }
      if (!letter.async) end()
      else finish = () => { end(); mailbox.next() }
      return !letter.async
    },
    holdReading: (full) => log.push(full ? 'full' : 'read on'),
    mailboxIsLong: () => {}
  })
  return { mailbox, log, finish: () => finish() }
}

const newLetter: fc.Arbitrary<NewLetter> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant('frame' as const),
      bytes: fc.integer({ min: 0, max: 40 })
    })
  },
  { weight: 4, arbitrary: fc.constant({ type: 'info' as const }) },
  { weight: 1, arbitrary: fc.constant({ type: 'system' as const }) }
)
const actions: fc.Arbitrary<readonly CallbackAction[]> = fc.array(fc.oneof(
  { weight: 6, arbitrary: newLetter },
  { weight: 1, arbitrary: fc.constantFrom({ type: 'close' as const }, { type: 'retain' as const }) }
), { maxLength: 3, size: 'xsmall' })
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.tuple(newLetter, fc.boolean(), actions)
      .map(([how, async, actions]) => ({ ...how, async, actions }))
  },
  { weight: 6, arbitrary: fc.constant({ type: 'finish' as const }) },
  { weight: 4, arbitrary: fc.constant({ type: 'turn' as const }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant('flood'), length: fc.integer({ min: 1, max: 2500 }) })
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constantFrom('close', 'retain') }) }
)

/**
 * Runs the commands on both mailboxes. Returns how often reading stopped and infos were refused.
 */
async function compareMailboxes (
  limits: Limits,
  commands: readonly Command[]
): Promise<{ full: number, refused: number }> {
  const { mailbox, log, finish } = buildMailbox(limits)
  const model: MailboxModel = new MailboxModel(limits, (letter) =>
    performActions(model, model.log, letter)
  )
  const end = async (): Promise<void> => {
    if (model.running === undefined) return
    finish()
    model.finish()
    // Waits for microtasks only, because offered infos must not arrive before the next turn.
    await Promise.resolve()
  }
  const execute = async (one: Command, n: number): Promise<void> => {
    switch (one.type) {
      case 'frame': case 'info': case 'system': {
        const letter = letterOf(one, { ...one, n })
        if (isFrame(letter)) {
          mailbox.post(letter)
          return model.post(letter)
        }
        const taken = mailbox.offer(letter)
        if (!taken) log.push(`offers ${n} false`)
        if (!model.offer(letter)) model.log.push(`offers ${n} false`)
        return
      }
      case 'flood':
        for (let i = 0; i < one.length; i++) {
          const letter = { n: n * 10_000 + i, bytes: i % 2, async: i % 700 === 0, actions: [] }
          mailbox.post(letter)
          model.post(letter)
        }
        return
      case 'finish': return end()
      case 'turn':
        await turn()
        return model.turn()
      case 'close': case 'retain':
        for (const one of [mailbox, model]) one.retain(isFrame)
        if (one.type === 'close') for (const one of [mailbox, model]) one.close()
    }
  }
  const seen = { full: 0, refused: 0 }
  const compare = (): void => {
    for (const line of log) {
      if (line === 'full') seen.full++
      if (line.endsWith(' false') && !model.closed) seen.refused++
    }
    deepStrictEqual(log.splice(0), model.log.splice(0))
    deepStrictEqual(
      { length: mailbox.length, busy: mailbox.busy },
      { length: model.length, busy: model.running !== undefined }
    )
  }
  for (const [i, one] of commands.entries()) {
    await execute(one, i + 1)
    compare()
  }
  // The remaining letters are delivered. Then no letter waits.
  while (model.running !== undefined || model.staged.length > 0) {
    await end()
    await turn()
    model.turn()
    compare()
  }
  deepStrictEqual(model.waiting, [])
  return seen
}

void t.test('random operations on a mailbox have the results of the model', async (t) => {
  const settings = runs(LONG ? 3000 : 500)
  const seen = { full: 0, refused: 0 }
  let commands = 0
  const limits = fc.record({
    maxMailboxLength: fc.integer({ min: 1, max: 12 }),
    maxMailboxBytes: fc.integer({ min: 1, max: 200 }),
    maxMailboxInfos: fc.integer({ min: 1, max: 6 })
  })
  await fc.assert(
    fc.asyncProperty(
      limits,
      fc.array(command, { maxLength: 40, size: 'max' }),
      async (one, list) => {
        commands += list.length
        const { full, refused } = await compareMailboxes(one, list)
        seen.full += full
        seen.refused += refused
      }
    ),
    settings
  )
  t.ok(
    (seen.full > 0 && seen.refused > 0) || settings.numRuns < 100,
    'some mailboxes were full, and some refused infos'
  )
  t.comment(
    `${settings.numRuns} mailboxes, full ${seen.full} times, ${seen.refused} infos refused, ` +
    `${commands} commands, seed ${settings.seed}`
  )
})

const script = fc.record({
  async: fc.boolean(),
  infos: fc.nat({ max: 2 }),
  outcome: fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(...(['nothing', 'ok', 'push', 'list'] as const)) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(...([
        'stop', 'detail', 'error', 'throw', 'unsendable', 'no result', 'bad code'
      ] as const))
    }
  )
})
const letter = fc
  .tuple(
    script,
    fc.constantFrom('frame' as const, 'frame' as const, 'fragments' as const, 'ping' as const)
  )
  .map(([one, kind]) => ({ ...one, kind }))
const op: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      type: fc.constant('packet'),
      letters: fc.array(letter, { maxLength: 6, size: 'max' }),
      close: fc.nat({ max: 19 }).map((n) => n === 0)
    })
  },
  { weight: 10, arbitrary: fc.constant({ type: 'release' as const }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constantFrom('info', 'timer'), script }) },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant('close'),
      code: fc.constantFrom(undefined, 1000, 3000, 4999)
    })
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constantFrom('ticks', 'ticks', 'drain', 'unmasked', 'bad text', 'fin', 'reset')
    })
  }
)
const plan = fc.record({
  init: script,
  terminate: fc.constantFrom('sync', 'async', 'throw', 'reject'),
  ops: fc.array(op, { maxLength: 16, size: 'max' }),
  eager: fc.boolean()
})

void t.test('random operations on a connection have the results of the model', async (t) => {
  const faults: unknown[] = []
  const onFault = (error: unknown): void => { faults.push(error) }
  process.on('unhandledRejection', onFault)
  t.teardown(() => process.off('unhandledRejection', onFault))
  const settings = runs(LONG ? 400 : 150)
  const world = new World(t)
  const ends: Record<string, number> = {}
  let ops = 0
  await fc.assert(
    fc.asyncProperty(plan, async (one) => {
      ops += one.ops.length
      const { real, model } = await runPlan(t, world, one)
      deepStrictEqual(real, model)
      const end = /^terminate (\w+)/.exec(model.log.at(-1) ?? '')?.[1] ?? 'init failed'
      ends[end] = (ends[end] ?? 0) + 1
    }),
    settings
  )
  t.same(faults, [])
  t.ok(Object.keys(ends).length === 5 || settings.numRuns < 150, 'all five kinds of end occurred')
  t.comment(
    `${settings.numRuns} connections, ${ops} events, ends ${JSON.stringify(ends)}, ` +
    `seed ${settings.seed}`
  )
})
