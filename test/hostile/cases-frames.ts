import {
  BINARY,
  close,
  CLOSE,
  CONTINUATION,
  fragments,
  frame,
  hex,
  MIB,
  noise,
  PING,
  PONG,
  TEXT,
  text
} from './bytes.ts'
import type { Case, Step } from './case.ts'
import { drip, fin, open, untilEchoes } from './steps.ts'

const AT_ONCE = 4500

function closed (
  closeCode: number,
  rows: ReadonlyArray<readonly [name: string, bytes: Step, why: string]>
): Case[] {
  return rows.map(([name, bytes, why]) => ({
    name,
    send: [open, bytes],
    expect: { closeCode, tcpEnds: AT_ONCE },
    why
  }))
}

/** Each is allowed, if odd. */
function echoed (
  rows: ReadonlyArray<readonly [name: string, bytes: Uint8Array, echo: string, why: string]>
): Case[] {
  return rows.map(([name, bytes, echo, why]) => ({
    name,
    send: [open, bytes],
    expect: { echo: [echo], tcpEnds: false },
    why
  }))
}

const masks = closed(1002, [
  ['an unmasked text', text('hello', { masked: false }), 'RFC 6455 §5.1: the server must close'],
  ['an unmasked ping', frame(PING, '', { masked: false }), 'RFC 6455 §5.1'],
  ['an unmasked close', frame(CLOSE, '', { masked: false }), 'RFC 6455 §5.1'],
  [
    'an unmasked continuation of a masked text',
    Buffer.concat([text('a', { fin: false }), frame(CONTINUATION, 'b', { masked: false })]),
    'RFC 6455 §5.1'
  ]
])

const reserved = closed(1002, [
  ...[1, 2, 3, 4, 5, 6, 7].map(
    (rsv) =>
      [
        `a text with reserved bits ${rsv.toString(2).padStart(3, '0')}`,
        text('hello', { rsv }),
        'RFC 6455 §5.2: no extension was agreed on'
      ] as const
  ),
  ['a ping with RSV1', frame(PING, '', { rsv: 4 }), 'RFC 6455 §5.2'],
  ['a close with RSV3', frame(CLOSE, '', { rsv: 1 }), 'RFC 6455 §5.2'],
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map(
    (opcode) =>
      [
        `the reserved opcode ${opcode}`,
        frame(opcode, 'hello'),
        'RFC 6455 §5.2: fail the connection'
      ] as const
  )
])

const control = closed(1002, [
  [
    'a fragmented ping',
    frame(PING, 'p', { fin: false }),
    'RFC 6455 §5.5: control frames are whole'
  ],
  ['a fragmented pong', frame(PONG, 'p', { fin: false }), 'RFC 6455 §5.5'],
  ['a fragmented close', frame(CLOSE, '', { fin: false }), 'RFC 6455 §5.5'],
  ['a ping of 126 bytes', frame(PING, Buffer.alloc(126)), 'RFC 6455 §5.5: 125 at most'],
  ['a pong of 126 bytes', frame(PONG, Buffer.alloc(126)), 'RFC 6455 §5.5'],
  [
    'a ping that announces 2^63-1 bytes',
    frame(PING, '', { length: 2n ** 63n - 1n }),
    'RFC 6455 §5.5'
  ],
  [
    'a ping of 5 bytes with its length in 16 bits',
    frame(PING, 'hello', { lengthBits: 16 }),
    'RFC 6455 §5.2, §5.5'
  ]
])

const order = closed(1002, [
  ['a lone continuation', frame(CONTINUATION, 'b'), 'RFC 6455 §5.4'],
  [
    'a lone continuation that is not the last',
    frame(CONTINUATION, 'b', { fin: false }),
    'RFC 6455 §5.4'
  ],
  ['an empty lone continuation', frame(CONTINUATION), 'RFC 6455 §5.4'],
  [
    'a text within a fragmented text',
    Buffer.concat([text('a', { fin: false }), text('b')]),
    'RFC 6455 §5.4: not interleaved'
  ],
  [
    'a binary within a fragmented text',
    Buffer.concat([text('a', { fin: false }), frame(BINARY, 'b')]),
    'RFC 6455 §5.4'
  ],
  [
    'a text begun within a fragmented binary',
    Buffer.concat([frame(BINARY, 'a', { fin: false }), text('b', { fin: false })]),
    'RFC 6455 §5.4'
  ],
  ['noise', Buffer.concat([hex('f3'), noise(4096, 4)]), 'RFC 6455 §5.2'],
  ['an HTTP request', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', 'RFC 6455 §5.2: G has RSV1'],
  ['a TLS hello', hex('16 03 01 00 a5 01 00 00 a1 03 03'), 'RFC 6455 §5.2: opcode 6, unmasked']
])

const interleaved: Case[] = [
  ...echoed([
    [
      'a text in fragments of which some are empty',
      fragments(TEXT, '', 'a', '', 'b', ''),
      'ab',
      'RFC 6455 §5.4: allowed'
    ],
    ['an empty text', text(''), '', 'RFC 6455 §5.2: a length of 0'],
    [
      'a pong that nobody asked for, and a text',
      Buffer.concat([frame(PONG, 'unasked'), text('hello')]),
      'hello',
      'RFC 6455 §5.5.3: allowed, not answered'
    ]
  ]),
  {
    name: 'pings within a fragmented text',
    send: [
      open,
      Buffer.concat([
        text('a', { fin: false }),
        frame(PING, '1'),
        frame(CONTINUATION, 'b', { fin: false }),
        frame(PING, '2'),
        frame(CONTINUATION, 'c')
      ])
    ],
    expect: { echo: ['abc'], pongs: 2, tcpEnds: false },
    why: 'RFC 6455 §5.4: control frames may come between'
  },
  {
    name: 'a close within a fragmented text',
    send: [open, Buffer.concat([text('a', { fin: false }), close(1000)])],
    expect: { closeCode: 1000, tcpEnds: AT_ONCE },
    why: 'RFC 6455 §5.4: the message is dropped'
  },
  {
    name: 'a lone continuation after a whole fragmented text',
    send: [open, fragments(TEXT, 'a', 'b'), frame(CONTINUATION, 'c')],
    expect: { echo: ['ab'], closeCode: 1002, tcpEnds: AT_ONCE },
    why: 'RFC 6455 §5.4'
  },
  {
    name: 'a good text and an unmasked one in its packet',
    send: [open, Buffer.concat([text('good'), text('bad', { masked: false })])],
    expect: { echo: ['good'], closeCode: 1002, tcpEnds: AT_ONCE },
    why: 'RFC 6455 §5.1; valid messages before it are answered'
  },
  {
    name: 'good texts behind a bad frame',
    send: [open, Buffer.concat([frame(3), text('late'), text('later')])],
    expect: { closeCode: 1002, tcpEnds: AT_ONCE },
    why: 'RFC 6455 §7.1.7: nothing is read after the failure'
  },
  {
    name: 'frames in packets of one byte',
    send: [open, drip(Buffer.concat([text('hello'), fragments(TEXT, 'w', 'orld')]))],
    expect: { echo: ['hello', 'world'], tcpEnds: false },
    why: 'TCP does not preserve packets'
  }
]

const lengths: Case[] = [
  ...closed(1009, [
    [
      'a text that announces 2^64-1 bytes',
      text('', { length: 2n ** 64n - 1n }),
      'RFC 6455 §5.2: the top bit is 0; ws says too big'
    ],
    [
      'a text that announces 2^63 bytes',
      text('', { length: 2n ** 63n }),
      'RFC 6455 §5.2: the top bit is 0; ws says too big'
    ],
    [
      'a text that announces 2^63-1 bytes',
      text('', { length: 2n ** 63n - 1n }),
      'maxMessageBytes, before anything is kept'
    ],
    [
      'a text that announces 2^53 bytes',
      text('', { length: 2n ** 53n }),
      'no integer of JavaScript any more'
    ],
    ['a text that announces 2^53-1 bytes', text('', { length: 2n ** 53n - 1n }), 'maxMessageBytes'],
    [
      'a binary that announces 2^32 bytes',
      frame(BINARY, '', { length: 2n ** 32n }),
      'maxMessageBytes'
    ],
    [
      'a binary that announces 2^31 bytes',
      frame(BINARY, '', { length: 2n ** 31n }),
      'maxMessageBytes'
    ],
    [
      'a text that announces 1 MiB and a byte',
      text('', { length: BigInt(MIB + 1) }),
      'maxMessageBytes, from the header alone'
    ],
    [
      'fragments that announce 1 MiB and a byte together',
      Buffer.concat([text('x', { fin: false }), frame(CONTINUATION, '', { length: BigInt(MIB) })]),
      'maxMessageBytes counts the message, not its frames'
    ]
  ]),
  {
    name: 'a text of 1 MiB',
    send: [open, text(Buffer.alloc(MIB, 'x')), untilEchoes(1)],
    expect: { echo: [`(${MIB} bytes)`], tcpEnds: false },
    why: 'maxMessageBytes is allowed'
  },
  ...echoed([
    [
      '5 bytes with their length in 16 bits',
      text('hello', { lengthBits: 16 }),
      'hello',
      'RFC 6455 §5.2 wants the shortest; ws accepts it'
    ],
    [
      '5 bytes with their length in 64 bits',
      text('hello', { lengthBits: 64 }),
      'hello',
      'RFC 6455 §5.2 wants the shortest; ws accepts it'
    ],
    [
      'no bytes with their length in 64 bits',
      text('', { lengthBits: 64 }),
      '',
      'RFC 6455 §5.2 wants the shortest; ws accepts it'
    ],
    [
      '200 bytes with their length in 64 bits',
      text(Buffer.alloc(200, 'x'), { lengthBits: 64 }),
      '(200 bytes)',
      'RFC 6455 §5.2 wants the shortest; ws accepts it'
    ]
  ])
]

const closes: Case[] = [
  ...closed(1002, [
    ['a close of one byte', frame(CLOSE, 'x'), 'RFC 6455 §5.5.1: a code has two'],
    ...[0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535].map(
      (code) =>
        [`a close with the code ${code}`, close(code), 'RFC 6455 §7.4: never on the wire'] as const
    ),
    [
      'a close with a reason of 124 bytes',
      close(1000, Buffer.alloc(124, 'x')),
      'RFC 6455 §5.5: 125 at most'
    ]
  ]),
  ...[1000, 1001, 1003, 1007, 1011, 1014, 3000, 4999].map((code): Case => ({
    name: `a close with the code ${code}`,
    send: [open, close(code, 'bye')],
    expect: { closeCode: code, tcpEnds: AT_ONCE },
    why: 'RFC 6455 §5.5.1: echoed'
  })),
  {
    name: 'a close without a code',
    send: [open, close()],
    expect: { closeCode: 1005, tcpEnds: AT_ONCE },
    why: 'RFC 6455 §5.5.1: echoed without one'
  },
  {
    name: 'a close with a reason of 123 bytes',
    send: [open, close(1000, Buffer.alloc(123, 'x'))],
    expect: { closeCode: 1000, tcpEnds: AT_ONCE },
    why: 'RFC 6455 §5.5: just so many'
  },
  {
    name: 'texts and pings behind a close, in its packet',
    send: [open, Buffer.concat([close(1000), text('late'), frame(PING, 'late')])],
    expect: { closeCode: 1000, tcpEnds: AT_ONCE },
    why: 'RFC 6455 §5.5.1: frames after it are ignored'
  },
  {
    name: 'a text before a close, in its packet',
    send: [open, Buffer.concat([text('early'), close(1000)])],
    expect: { echo: ['early'], closeCode: 1000, tcpEnds: AT_ONCE },
    why: 'frames before the close are handled'
  },
  {
    name: 'two closes in one packet',
    send: [open, Buffer.concat([close(1000), close(4000)])],
    expect: { closeCode: 1000, tcpEnds: AT_ONCE },
    why: 'RFC 6455 §5.5.1: the first one counts'
  },
  {
    name: 'a bad frame behind a close',
    send: [open, Buffer.concat([close(1001), frame(3), noise(64, 5)])],
    expect: { closeCode: 1001, tcpEnds: AT_ONCE },
    why: 'RFC 6455 §5.5.1: nothing after it is read'
  },
  {
    name: 'a close, and the end of TCP in its packet',
    send: [open, close(1000), fin],
    expect: { closeCode: 1000, tcpEnds: AT_ONCE },
    why: 'RFC 6455 §7.1.1'
  }
]

export const frames: readonly Case[] = [
  ...masks,
  ...reserved,
  ...control,
  ...order,
  ...interleaved,
  ...lengths,
  ...closes
]
