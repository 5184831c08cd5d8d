import { randomBytes } from 'node:crypto'
import t from 'tap'
import { deflateMessage } from '../../src/protocol/deflate.ts'
import { FrameParser, type FrameSink } from '../../src/protocol/frame-parser.ts'
import { GrowingBuffer } from '../../src/protocol/growing-buffer.ts'
import { encode } from '../helpers/random-streams.ts'
import { FUZZ_SEED, randomFrom } from '../helpers/random.ts'

/** A sink that records its calls. */
class RecordingSink implements FrameSink {
  readonly limits
  readonly inflates: boolean
  readonly metered: boolean
  readonly calls: string[] = []
  readonly counted = { frames: 0, bytes: 0 }

  constructor ({ maxMessageBytes = 1000, inflates = false, metered = false } = {}) {
    this.limits = { maxMessageBytes }
    this.inflates = inflates
    this.metered = metered
  }

  count (frames: number, bytes: number): void {
    this.counted.frames += frames
    this.counted.bytes += bytes
  }

  receiveText (text: string, bytes: number): void { this.calls.push(`text ${text} ${bytes}`) }
  receiveBinary (data: Buffer): void { this.calls.push(`binary ${data.toString('hex')}`) }
  receiveControl (opcode: 'ping' | 'pong', data: Buffer): void {
    this.calls.push(`${opcode} ${data.toString()}`)
  }

  receiveClose (code: number, reason: string): void { this.calls.push(`close ${code} ${reason}`) }
  fail (code: number, problem: string): void { this.calls.push(`fail ${code} ${problem}`) }
}

const random = randomFrom(FUZZ_SEED)
const frame = (opcode: number, payload: string | Buffer, form = {}): Buffer =>
  encode(random, opcode, Buffer.from(payload as string), { width: 0, ...form })

function parse (chunks: readonly Buffer[], options = {}): RecordingSink {
  const sink = new RecordingSink(options)
  const parser = new FrameParser(sink)
  for (const chunk of chunks) parser.push(Buffer.from(chunk))
  return sink
}

const STREAM = Buffer.concat([
  frame(1, 'hello'),
  frame(9, 'p'),
  frame(2, Buffer.from([1, 2, 3])),
  frame(1, 'grüße €'),
  frame(1, ''),
  frame(1, 'a', { fin: false }),
  frame(10, 'between'),
  frame(0, '', { fin: false }),
  frame(0, 'z'),
  frame(1, 'x'.repeat(300), { width: 2 }),
  frame(2, Buffer.alloc(200, 7), { width: 8 }),
  frame(1, Buffer.from([0xe2]), { fin: false }),
  frame(0, Buffer.from([0x82, 0xac])),
  frame(8, Buffer.concat([Buffer.from([0x0f, 0xa0]), Buffer.from('bye')])),
  frame(1, 'behind')
])
const CALLS = [
  'text hello 5',
  'ping p',
  'binary 010203',
  'text grüße € 11',
  'text  0',
  'pong between',
  'text az 2',
  `text ${'x'.repeat(300)} 300`,
  `binary ${'07'.repeat(200)}`,
  'text € 3',
  'close 4000 bye'
]

void t.test('frames are parsed in the same way, however the stream is split', async (t) => {
  for (const size of [1, 2, 3, 5, 7, 13, 64, 100, STREAM.length]) {
    const chunks = Array.from({ length: Math.ceil(STREAM.length / size) }, (_none, i) =>
      STREAM.subarray(i * size, (i + 1) * size)
    )
    t.same(parse(chunks).calls, CALLS, `pieces of ${size}`)
  }
  for (let cut = 0; cut <= STREAM.length; cut++) {
    const { calls } = parse([STREAM.subarray(0, cut), STREAM.subarray(cut)])
    if (JSON.stringify(calls) !== JSON.stringify(CALLS)) t.same(calls, CALLS, `cut at ${cut}`)
  }
})

void t.test(
  'a protocol error fails with its close code, and no later frame is read',
  async (t) => {
    const cases: Array<[name: string, bytes: Buffer[], fails: RegExp, options?: object]> = [
      ['not masked', [frame(1, 'x', { masked: false })], /^fail 1002 a frame without a mask/],
      ['RSV1', [frame(1, 'x', { rsv: 4 })], /^fail 1002 RSV1/],
      [
        'RSV1 of a continuation',
        [frame(1, 'x', { fin: false, rsv: 4 }), frame(0, 'x', { rsv: 4 })],
        /^fail 1002 RSV1/,
        { inflates: true }
      ],
      ['RSV1 of a ping', [frame(9, 'x', { rsv: 4 })], /^fail 1002 RSV1/, { inflates: true }],
      ['RSV2', [frame(1, 'x', { rsv: 2 })], /^fail 1002 RSV2/, { inflates: true }],
      ['opcode 3', [frame(3, 'x')], /^fail 1002 the opcode 3/],
      ['opcode 11', [frame(11, 'x')], /^fail 1002 the opcode 11/],
      ['a continuation without a message', [frame(0, 'x')], /^fail 1002 a continuation/],
      [
        'a message within a fragmented message',
        [frame(1, 'x', { fin: false }), frame(1, 'x')],
        /^fail 1002 a message within/
      ],
      [
        'a ping in fragments',
        [frame(9, 'x', { fin: false })],
        /^fail 1002 a fragmented control frame/
      ],
      [
        'a ping of 126 bytes',
        [frame(9, 'x'.repeat(126), { width: 2 })],
        /^fail 1002 a control frame with more/
      ],
      ['a close frame of one byte', [frame(8, 'x')], /^fail 1002 a close frame with one byte/],
      [
        'the close code 1005',
        [frame(8, Buffer.from([3, 237]))],
        /^fail 1002 a close frame with the code 1005/
      ],
      ['a close reason that is not UTF-8', [frame(8, Buffer.from([3, 232, 255]))], /^fail 1007/],
      ['text that is not UTF-8', [frame(1, Buffer.from([0xc3, 0x28]))], /^fail 1007/],
      ['1 001 bytes', [frame(2, Buffer.alloc(1001), { width: 2 })], /^fail 1009/],
      [
        '1 001 bytes in fragments',
        [frame(2, Buffer.alloc(1000), { fin: false, width: 2 }), frame(0, 'x')],
        /^fail 1009/
      ],
      [
        '16 385 fragments',
        [frame(1, '', { fin: false }), ...Array<Buffer>(16_384).fill(frame(0, '', { fin: false }))],
        /^fail 1008/
      ],
      [
        'data that cannot be inflated',
        [frame(1, Buffer.from([0xff, 0xff, 0xff]), { rsv: 4 })],
        /^fail 1007/,
        { inflates: true }
      ],
      [
        'a message over the limit after inflation',
        [frame(1, deflateMessage('x'.repeat(1001), 15), { rsv: 4 })],
        /^fail 1009/,
        { inflates: true }
      ]
    ]
    for (const [name, frames, fails, options] of cases) {
      const { calls } = parse([...frames, frame(1, 'behind')], options)
      t.equal(calls.length, 1, name)
      t.match(calls[0], fails, name)
    }
  }
)

void t.test(
  'a length over the limit fails on the header, also where compressed messages may be longer',
  async (t) => {
    const header = (first: number, length: number): Buffer => {
      const bytes = Buffer.alloc(10)
      bytes[0] = first
      bytes[1] = 0xff
      bytes.writeBigUInt64BE(BigInt(length), 2)
      return bytes
    }
    for (const inflates of [false, true]) {
      for (const length of [1001, 2 ** 32, 2 ** 53, Number.MAX_SAFE_INTEGER]) {
        t.match(parse([header(0x82, length)], { inflates }).calls, [/^fail 1009/], `${length}`)
      }
      t.same(parse([header(0x82, 1000)], { inflates }).calls, [])
    }
    t.same(
      parse([header(0xc2, 1010)], { inflates: true }).calls,
      [],
      'a compressed message may be a little longer than the limit'
    )
    t.match(parse([header(0xc2, 1100)], { inflates: true }).calls, [/^fail 1009/])
    t.match(
      parse([frame(2, 'x'.repeat(11))], { maxMessageBytes: 10 }).calls,
      [/^fail 1009/],
      'a limit below 126'
    )
  }
)

void t.test('compressed messages are inflated, whole and in fragments', async (t) => {
  const text = 'hello '.repeat(100)
  const deflated = deflateMessage(text, 15)
  const { calls } = parse(
    [
      frame(1, deflated, { rsv: 4 }),
      frame(1, deflated.subarray(0, 5), { rsv: 4, fin: false }),
      frame(9, 'p'),
      frame(0, deflated.subarray(5)),
      frame(1, 'plain'),
      frame(2, deflateMessage(Buffer.alloc(900, 1), 9), { rsv: 4 })
    ],
    { inflates: true }
  )
  t.same(calls, [
    `text ${text} 600`,
    'ping p',
    `text ${text} 600`,
    'text plain 5',
    `binary ${'01'.repeat(900)}`
  ])
})

void t.test(
  'each frame and byte is counted once, those of unfinished frames as they arrive',
  async (t) => {
    const whole = parse([STREAM], { metered: true })
    const frames = 14
    t.equal(whole.counted.frames, frames)
    const byByte = parse(
      Array.from(STREAM, (byte) => Buffer.from([byte])),
      { metered: true }
    )
    t.equal(byByte.counted.frames, frames)
    t.ok(
      byByte.counted.bytes >= whole.counted.bytes &&
        byByte.counted.bytes < whole.counted.bytes + frames * 14,
      'only bytes of headers may be counted twice'
    )
    const half = frame(2, Buffer.alloc(900), { width: 2 }).subarray(0, 500)
    t.equal(parse([half], { metered: true }).counted.bytes, 500)
  }
)

void t.test('the buffer of an unfinished message has at most twice its bytes', async (t) => {
  const buffer = new GrowingBuffer()
  const piece = randomBytes(3)
  const capacity = (): number => buffer.view().buffer.byteLength
  for (let length = 3; length < 100_000; length += 3) {
    buffer.append(piece, 0, 3, 1_000_000)
    if (capacity() > Math.max(1024, length * 2 + 6)) {
      return t.fail(`${capacity()} bytes for ${length}`)
    }
  }
  t.equal(buffer.length, 99_999)
  const bounded = new GrowingBuffer()
  bounded.append(Buffer.alloc(600), 0, 600, 700)
  t.equal(bounded.view().buffer.byteLength, 700, 'never more than the whole message')
})
