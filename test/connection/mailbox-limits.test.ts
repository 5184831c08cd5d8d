import t from 'tap'
import { setImmediate as turn } from 'node:timers/promises'
import { Mailbox, type Letter } from '../../src/connection/mailbox.ts'
import { EventLoop } from '../../src/event-loop.ts'

interface Numbered extends Letter { readonly n: number }

/** A mailbox whose callbacks end one by one, when the test releases them. */
function build (
  maxLength: number,
  maxBytes: number
): {
    mailbox: Mailbox<Numbered>
    handled: number[]
    marks: Array<[full: boolean, waiting: number]>
    next: () => Promise<void>
  } {
  const handled: number[] = []
  const marks: Array<[boolean, number]> = []
  const ends: Array<() => void> = []
  const mailbox: Mailbox<Numbered> = new Mailbox<Numbered>({
    limits: { maxMailboxLength: maxLength, maxMailboxBytes: maxBytes, maxMailboxInfos: 3 },
    sharing: { loop: new EventLoop() },
    deliver: ({ n }) => {
      handled.push(n)
      ends.push(() => mailbox.next())
      return false
    },
    holdReading: (full) => marks.push([full, mailbox.length]),
    mailboxIsLong: () => {}
  })
  return { mailbox, handled, marks, next: async () => { ends.shift()?.(); await turn() } }
}

void t.test('reading stops at either limit and resumes at half of both', async (t) => {
  const cases: Array<
    [maxLength: number, maxBytes: number, bytes: number, stopsAt: number, startsAt: number]
  > = [
    [10, 1_000_000, 1, 10, 5],
    [7, 1_000_000, 0, 7, 3],
    [1, 1_000_000, 1, 1, 0],
    [1000, 100, 10, 10, 5],
    [1000, 1, 10, 1, 0],
    [10, 200, 10, 10, 5]
  ]
  for (const [maxLength, maxBytes, bytes, stopsAt, startsAt] of cases) {
    const { mailbox, handled, marks, next } = build(maxLength, maxBytes)
    for (let n = 0; n <= stopsAt + 5; n++) mailbox.post({ n, bytes })
    t.same(
      marks,
      [[true, stopsAt]],
      `${maxLength} letters or ${maxBytes} bytes: reading stops once, only waiting letters count`
    )
    while (mailbox.busy) await next()
    t.same(marks, [[true, stopsAt], [false, startsAt]])
    t.same(handled, Array.from({ length: stopsAt + 6 }, (_, n) => n))
    for (let n = 0; n <= stopsAt; n++) mailbox.post({ n, bytes })
    t.equal(marks.length, 3, 'reading stops again')
  }
})

void t.test(
  'only infos are refused beyond their limit, and only infos count',
  async (t) => {
    const { mailbox, handled, marks, next } = build(2, 1_000_000)
    const offers = [0, 1, 2, 3].map((n) => mailbox.offer({ n }))
    t.same(offers, [true, true, true, false], 'infos that wait for the end of the turn count')
    t.same(handled, [], 'no info is handled within the call that offers it')
    await turn()
    t.same(handled, [0])
    t.equal(mailbox.length, 2)
    for (const n of [10, 11, 12, 13]) mailbox.post({ n, bytes: 0 })
    t.same(marks, [[true, 4]], 'reading stops when two frames wait, whatever the number of infos')
    t.equal(mailbox.offer({ n: 4 }), true, 'frames that wait do not count')
    t.equal(mailbox.offer({ n: 5 }), false)
    t.equal(mailbox.offer({ n: 6, isSystem: true }), true, 'system messages are always taken')
    t.equal(mailbox.offer({ n: 7 }), false)
    await next()
    t.equal(mailbox.offer({ n: 8 }), true, 'system messages do not count')
    while (mailbox.busy) await next()
    t.same(handled, [0, 1, 2, 10, 11, 12, 13, 4, 6, 8])
    t.same(
      marks.map(([full]) => full),
      [true, false]
    )
  }
)

void t.test('a closed mailbox accepts and delivers no letter', async (t) => {
  const { mailbox, handled, next } = build(10, 1_000_000)
  mailbox.offer({ n: 9 })
  for (let n = 0; n < 3; n++) mailbox.post({ n, bytes: 1 })
  mailbox.close()
  mailbox.post({ n: 3, bytes: 1 })
  t.equal(mailbox.offer({ n: 4 }), false)
  t.equal(mailbox.busy, true, 'the running callback continues')
  await next()
  t.equal(mailbox.busy, false)
  t.same(handled, [0])
  t.equal(mailbox.length, 0)
})

void t.test(
  'a million waiting letters do not overflow the stack, and keep their order',
  async (t) => {
    const seen = { last: -1, ordered: true }
    const mailbox: Mailbox<Numbered> = new Mailbox<Numbered>({
      limits: { maxMailboxLength: 1_048_576, maxMailboxBytes: 1_000_000, maxMailboxInfos: 1 },
      sharing: { loop: new EventLoop() },
      deliver: ({ n }) => {
        seen.ordered &&= n === seen.last + 1
        seen.last = n
        return n !== 0
      },
      holdReading: () => {},
      mailboxIsLong: () => {}
    })
    for (let n = 0; n < 1_000_000; n++) mailbox.post({ n, bytes: 0 })
    mailbox.next()
    t.same(seen, { last: 999_999, ordered: true })
  }
)

// With a time per letter that grows with their number, this test would not end in time.
void t.test('a million letters offered in one turn are delivered in order', async (t) => {
  const seen = { last: -1, ordered: true, length: 0 }
  const mailbox: Mailbox<Numbered> = new Mailbox<Numbered>({
    limits: { maxMailboxLength: 1, maxMailboxBytes: 1, maxMailboxInfos: 1_000_000 },
    sharing: { loop: new EventLoop() },
    deliver: ({ n }) => {
      seen.ordered &&= n === seen.last + 1
      seen.last = n
      if (n === 499_999) seen.length = mailbox.length
      return true
    },
    holdReading: () => {},
    mailboxIsLong: () => {}
  })
  for (let n = 0; n < 1_000_000; n++) mailbox.offer({ n })
  t.equal(mailbox.length, 1_000_000)
  await turn()
  t.same(seen, { last: 999_999, ordered: true, length: 500_000 })
  t.equal(mailbox.length, 0)
})
