import { BINARY, close, fragments, frame, hex, text, TEXT } from './bytes.ts'
import type { Case } from './case.ts'
import { open } from './steps.ts'

const AT_ONCE = 4500

/** RFC 3629 §3 and §4: no text. */
const INVALID: ReadonlyArray<readonly [name: string, bytes: string]> = [
  ['a lone continuation byte 80', '80'],
  ['a lone continuation byte BF', 'bf'],
  ['two continuation bytes behind a letter', '61 80 bf'],
  ['an overlong NUL in 2 bytes', 'c0 80'],
  ['an overlong U+007F in 2 bytes', 'c1 bf'],
  ['an overlong slash in 3 bytes', 'e0 80 af'],
  ['an overlong U+07FF in 3 bytes', 'e0 9f bf'],
  ['an overlong NUL in 4 bytes', 'f0 80 80 80'],
  ['an overlong U+FFFF in 4 bytes', 'f0 8f bf bf'],
  ['the first high surrogate', 'ed a0 80'],
  ['the last low surrogate', 'ed bf bf'],
  ['a pair of surrogates (CESU-8)', 'ed a0 bd ed b8 80'],
  ['U+110000', 'f4 90 80 80'],
  ['U+140000', 'f5 80 80 80'],
  ['a form of 5 bytes', 'f8 88 80 80 80'],
  ['a form of 6 bytes', 'fc 84 80 80 80 80'],
  ['the byte FE', 'fe'],
  ['the byte FF', 'ff'],
  ['the byte order mark of UTF-16', 'fe ff 00 61'],
  ['2 bytes cut to 1', 'c3'],
  ['3 bytes cut to 2', 'e2 82'],
  ['4 bytes cut to 3', 'f0 9f 98'],
  ['3 bytes cut by a letter', 'e2 82 61'],
  ['4 bytes cut by the start of another', 'f0 9f 98 c3 a4'],
  ['a continuation byte too many', 'e2 82 ac ac'],
  ['Latin-1', '67 72 fc df 65']
]

const VALID: ReadonlyArray<readonly [name: string, bytes: string]> = [
  ['NUL', '00'],
  ['the last of 2 bytes, U+07FF', 'df bf'],
  ['U+FFFF, which is no character', 'ef bf bf'],
  ['the last code point, U+10FFFF', 'f4 8f bf bf'],
  ['the last before the surrogates, U+D7FF', 'ed 9f bf'],
  ['a byte order mark', 'ef bb bf 61']
]

const whole = [
  ...INVALID.map(([name, bytes]): Case => ({
    name: `a text with ${name}`,
    send: [open, text(hex(bytes))],
    expect: { closeCode: 1007, tcpEnds: AT_ONCE },
    why: 'RFC 6455 §8.1, RFC 3629 §3'
  })),
  ...VALID.map(([name, bytes]): Case => ({
    name: `a text with ${name}`,
    send: [open, text(hex(bytes))],
    expect: { echo: [hex(bytes).toString()], tcpEnds: false },
    why: 'RFC 3629 §3: valid'
  })),
  {
    name: 'a binary with FF and FE',
    send: [open, frame(BINARY, hex('ff fe'))],
    expect: { echo: ['0xfffe'], tcpEnds: false },
    why: 'RFC 6455 §5.6: bytes of any kind'
  }
] satisfies Case[]

const split: Case[] = [
  {
    name: 'a euro sign split over fragments',
    send: [open, fragments(TEXT, hex('e2'), hex('82'), hex('ac'))],
    expect: { echo: ['€'], tcpEnds: false },
    why: 'RFC 6455 §5.6: only the whole message must be valid'
  },
  {
    name: 'a smiley split by an empty fragment and a ping',
    send: [
      open,
      Buffer.concat([
        text(hex('f0 9f'), { fin: false }),
        frame(0, '', { fin: false }),
        frame(9),
        frame(0, hex('98 80'))
      ])
    ],
    expect: { echo: ['😀'], pongs: 1, tcpEnds: false },
    why: 'RFC 6455 §5.4, §5.6'
  },
  ...(
    [
      ['a surrogate split over fragments', ['ed', 'a0', '80']],
      ['an overlong slash split over fragments', ['c0', 'af']],
      ['U+110000 split over fragments', ['f4', '90 80 80']],
      ['a euro sign cut at the end of the last fragment', ['61', 'e2 82']],
      ['a euro sign split by a letter in a fragment of its own', ['e2', '61', '82 ac']],
      ['FF in the second of three fragments', ['61', 'ff', '62']],
      ['a lone continuation byte in an otherwise empty message', ['', '80', '']]
    ] as const
  ).map(([name, parts]): Case => ({
    name,
    send: [open, fragments(TEXT, ...parts.map(hex))],
    expect: { closeCode: 1007, tcpEnds: AT_ONCE },
    why: 'RFC 6455 §8.1: by the end of the message'
  })),
  {
    name: 'FF behind 1 MiB less a byte of letters',
    send: [open, text(Buffer.concat([Buffer.alloc(1024 * 1024 - 1, 'x'), hex('ff')]))],
    expect: { closeCode: 1007, tcpEnds: AT_ONCE },
    why: 'RFC 6455 §8.1: to the last byte'
  },
  {
    name: 'a good text, and one of FF behind it',
    send: [open, Buffer.concat([text('good'), text(hex('ff'))])],
    expect: { echo: ['good'], closeCode: 1007, tcpEnds: AT_ONCE },
    why: 'RFC 6455 §8.1'
  }
]

const reasons: Case[] = [
  ...(
    [
      ['an overlong slash', 'c0 af'],
      ['a surrogate', 'ed a0 80'],
      ['U+110000', 'f4 90 80 80'],
      ['a cut euro sign', '62 79 65 e2 82'],
      ['FF', 'ff'],
      ['a lone continuation byte', '80']
    ] as const
  ).map(([name, bytes]): Case => ({
    name: `a close whose reason has ${name}`,
    send: [open, close(1000, hex(bytes))],
    expect: { closeCode: 1007, tcpEnds: AT_ONCE },
    why: 'RFC 6455 §5.5.1, §8.1: a reason is UTF-8'
  })),
  {
    name: 'a close whose reason is a smiley',
    send: [open, close(1000, '😀')],
    expect: { closeCode: 1000, tcpEnds: AT_ONCE },
    why: 'RFC 6455 §5.5.1'
  }
]

export const texts: readonly Case[] = [...whole, ...split, ...reasons]
