import {
  close,
  compressed,
  CONTINUATION,
  deflated,
  fragments,
  frame,
  hex,
  MIB,
  PING,
  TEXT,
  text,
  times
} from './bytes.ts'
import type { Case, Step } from './case.ts'
import { ask, open, untilClose, untilEchoes } from './steps.ts'

const AT_ONCE = 4500

function row (
  name: string,
  send: Step | readonly Step[],
  expect: Case['expect'],
  why: string,
  more: Partial<Case> = {}
): Case {
  const steps = typeof send === 'object' && !(send instanceof Uint8Array) ? send : [send]
  return { name, to: 'deflate', send: [open, ...steps], expect, why, ...more }
}

const closed = (closeCode: number): Case['expect'] => ({ closeCode, tcpEnds: AT_ONCE })

const TAIL = hex('00 00 ff ff')
const zeros = (mib: number): Buffer => deflated(Buffer.alloc(mib * MIB))
const BOMB = text(zeros(32), { rsv: 4 })
const BOMB_IN_PARTS = ((payload) =>
  Buffer.concat([
    text(payload.subarray(0, 10), { rsv: 4, fin: false }),
    ...Array.from({ length: 40 }, (_, i) =>
      frame(CONTINUATION, payload.subarray(10 + i * 800, 10 + (i + 1) * 800), { fin: false })
    ),
    frame(CONTINUATION, payload.subarray(10 + 40 * 800))
  ]))(zeros(32))

const bombs: Case[] = [
  row(
    'a bomb: 32 KiB that become 32 MiB',
    BOMB,
    closed(1009),
    'maxMessageBytes counts after inflation'
  ),
  row('a bomb in 42 fragments', BOMB_IN_PARTS, closed(1009), 'over all fragments'),
  row(
    'a bomb that never ends: fragments of zeros',
    Array.from({ length: 8 }, (_, i) =>
      frame(i === 0 ? TEXT : CONTINUATION, Buffer.concat([zeros(1), TAIL]), {
        fin: false,
        rsv: i === 0 ? 4 : 0
      })
    ),
    { tcpEnds: false },
    'nothing is inflated before the last fragment'
  ),
  row(
    'the same bomb, ended',
    [
      ...Array.from({ length: 8 }, (_, i) =>
        frame(i === 0 ? TEXT : CONTINUATION, Buffer.concat([zeros(1), TAIL]), {
          fin: i === 7,
          rsv: i === 0 ? 4 : 0
        })
      ),
      untilClose
    ],
    closed(1009),
    'maxMessageBytes counts after inflation'
  ),
  row('20 bombs at once', BOMB, closed(1009), 'bounded for each', {
    peers: 20,
    alone: true
  }),
  row(
    'a bomb, then a bomb behind it',
    Buffer.concat([BOMB, BOMB]),
    closed(1009),
    'nothing is inflated after the failure'
  ),
  row(
    '100 messages of 1 KiB that become 1 MiB each',
    Array.from({ length: 100 }, (_, i) => [text(zeros(1), { rsv: 4 }), untilEchoes(i + 1)]).flat(),
    { echo: 100, tcpEnds: false },
    'memory is freed between the messages',
    { alone: true }
  ),
  row(
    '1 MiB after inflation',
    [compressed(Buffer.alloc(MIB, 'x')), untilEchoes(1)],
    { echo: [`(${MIB} bytes)`], tcpEnds: false },
    'maxMessageBytes is allowed'
  ),
  row(
    '1 MiB and a byte after inflation',
    compressed(Buffer.alloc(MIB + 1, 'x')),
    closed(1009),
    'maxMessageBytes is the bound'
  ),
  row(
    '1 MiB and a byte, not compressed',
    text(Buffer.alloc(MIB + 1, 'x')),
    closed(1009),
    'maxMessageBytes is the bound'
  ),
  row(
    '2 MiB that cannot be compressed',
    text('', { length: BigInt(2 * MIB), rsv: 4 }),
    closed(1009),
    'maxMessageBytes, from the header alone'
  )
]

const corrupt: Case[] = [
  row(
    'bytes that are no deflate',
    text(hex('ff ff ff ff'), { rsv: 4 }),
    closed(1007),
    'RFC 7692 §7.2.2; RFC 1951 §3.2.3: block type 3'
  ),
  row(
    'a reference before the beginning',
    text(hex('02 01 00 00'), { rsv: 4 }),
    closed(1007),
    'RFC 1951 §3.2.3'
  ),
  row(
    'a stored block whose length is wrong',
    text(hex('00 05 00 00 00 68 65 6c 6c 6f'), { rsv: 4 }),
    closed(1007),
    'RFC 1951 §3.2.4: LEN and NLEN'
  ),
  row(
    'a Huffman table with too many codes',
    text(hex('04 c0 ff ff ff ff ff ff ff ff'), { rsv: 4 }),
    closed(1007),
    'RFC 1951 §3.2.7'
  ),
  row(
    'invalid UTF-8, compressed',
    compressed(hex('61 ed a0 80')),
    closed(1007),
    'RFC 6455 §8.1: after inflation'
  ),
  row(
    'corrupt deflate in the last fragment',
    Buffer.concat([
      frame(TEXT, deflated('hello'), { rsv: 4, fin: false }),
      frame(CONTINUATION, hex('07 ff ff'))
    ]),
    closed(1007),
    'RFC 7692 §7.2.2'
  ),
  row(
    'a good message, and a corrupt one behind it',
    Buffer.concat([compressed('good'), text(hex('ff ff'), { rsv: 4 })]),
    { echo: ['good'], closeCode: 1007, tcpEnds: AT_ONCE },
    'valid messages before it are answered'
  )
]

const bits: Case[] = [
  row(
    'a compressed message without content',
    text('', { rsv: 4 }),
    { echo: [''], tcpEnds: false },
    'RFC 7692 §7.2.3.6: no block is an empty message'
  ),
  row(
    'a compressed message of one empty block',
    text(hex('00'), { rsv: 4 }),
    { echo: [''], tcpEnds: false },
    'RFC 7692 §7.2.3.6'
  ),
  row(
    'an uncompressed message between compressed ones',
    Buffer.concat([compressed('1'), text('2'), text(deflated('3'), { rsv: 4 })]),
    { echo: ['1', '2', '3'], tcpEnds: false },
    'RFC 7692 §6: each message may'
  ),
  row(
    'a compressed message in fragments',
    fragmentsOf(deflated('hello hello hello')),
    { echo: ['hello hello hello'], tcpEnds: false },
    'RFC 7692 §6.1: RSV1 on the first'
  ),
  row(
    'RSV1 on a continuation',
    Buffer.concat([
      text(deflated('a'), { rsv: 4, fin: false }),
      frame(CONTINUATION, '', { rsv: 4 })
    ]),
    closed(1002),
    'RFC 7692 §6.1: on the first only'
  ),
  row(
    'RSV1 on a ping',
    frame(PING, deflated('p'), { rsv: 4 }),
    closed(1002),
    'RFC 7692 §5: data messages only'
  ),
  row(
    'RSV1 on a close',
    frame(8, close(1000).subarray(6), { rsv: 4 }),
    closed(1002),
    'RFC 7692 §5: data messages only'
  ),
  row('RSV2 beside RSV1', compressed('hello', { rsv: 6 }), closed(1002), 'RFC 6455 §5.2'),
  {
    name: 'a compressed message where deflate was not asked for',
    to: 'deflate',
    send: [ask({ 'Sec-WebSocket-Extensions': undefined }), compressed('hello')],
    expect: closed(1002),
    why: 'RFC 7692 §5: not agreed on'
  },
  row(
    'a bomb of fragments: 17 000 empty ones of a compressed message',
    [
      Buffer.concat([
        text('', { rsv: 4, fin: false }),
        times(17_000, frame(CONTINUATION, '', { fin: false }))
      ]),
      untilClose
    ],
    { closeCode: 1008, tcpEnds: 20_000 },
    '16 384 fragments',
    { alone: true }
  )
]

const offers: Case[] = (
  [
    ['a window of 99 bits', 'permessage-deflate; server_max_window_bits=99'],
    ['a window of 7 bits', 'permessage-deflate; client_max_window_bits=7'],
    ['a parameter that is unknown', 'permessage-deflate; unheard_of'],
    [
      'a parameter twice',
      'permessage-deflate; server_no_context_takeover; server_no_context_takeover'
    ],
    ['a value where none belongs', 'permessage-deflate; server_no_context_takeover=1'],
    ['a list that cannot be read', 'permessage-deflate;;,="']
  ] as const
).map(([name, offer]) => ({
  name: `deflate offered with ${name}`,
  to: 'deflate',
  send: [ask({ 'Sec-WebSocket-Extensions': offer })],
  ...(offer.includes('="')
    ? { expect: { status: [400], tcpEnds: AT_ONCE }, why: 'RFC 6455 §9.1: the handshake fails' }
    : {
        expect: { tcpEnds: false },
        why: 'RFC 7692 §5, §7.1: such an offer is declined, the handshake continues'
      })
}))

function fragmentsOf (payload: Buffer): Buffer {
  const parts = fragments(TEXT, ...Array.from(payload, (_, i) => payload.subarray(i, i + 1)))
  parts[0] = (parts[0] as number) | 0x40
  return parts
}

export const deflates: readonly Case[] = [...bombs, ...corrupt, ...bits, ...offers]
