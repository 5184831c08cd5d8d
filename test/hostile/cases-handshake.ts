import { fragments, MIB, noise, PING, frame, text, times, TEXT, hex } from './bytes.ts'
import type { Case, Step } from './case.ts'
import { ask, drip, fin, flood, handshake, open, untilEchoes } from './steps.ts'

const AT_ONCE = 4500
const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='

/** Each is answered with that status, and TCP ends. */
function refused (
  status: number,
  rows: ReadonlyArray<readonly [name: string, send: Step | readonly Step[], why: string]>
): Case[] {
  return rows.map(([name, send, why]) => ({
    name,
    send: typeof send === 'object' && !(send instanceof Uint8Array) ? send : [send],
    expect: { status: [status], tcpEnds: AT_ONCE },
    why
  }))
}

const GOOD =
  'Host: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n'
const END = `Sec-WebSocket-Key: ${KEY}\r\n\r\n`

const good: Case[] = [
  {
    name: 'a good handshake and a message',
    send: [open, text('hello')],
    expect: { echo: ['hello'], tcpEnds: false },
    why: 'RFC 6455 §4.2.2: the control case'
  },
  {
    name: 'a handshake with three messages in its packet',
    send: [ask({}, undefined, Buffer.concat([text('1'), text('2'), text('3')]))],
    expect: { echo: ['1', '2', '3'], tcpEnds: false },
    why: 'bytes after the head are not lost'
  },
  {
    name: 'a handshake in packets of one byte',
    send: [drip(handshake()), text('hello')],
    expect: { echo: ['hello'], tcpEnds: false },
    why: 'TCP does not preserve packets'
  },
  {
    name: 'an empty line before the request',
    send: ['\r\n', ask(), text('hello')],
    expect: { echo: ['hello'], tcpEnds: false },
    why: 'RFC 9112 §2.2: a server ignores at least one'
  },
  {
    name: 'header names and tokens in odd case',
    send: [
      ask({
        Upgrade: undefined,
        Connection: undefined,
        uPGRADE: 'WebSocket',
        CONNECTION: 'keep-alive, UPGRADE'
      }),
      text('hello')
    ],
    expect: { echo: ['hello'], tcpEnds: false },
    why: 'RFC 6455 §4.2.1: case does not matter'
  },
  {
    name: 'permessage-deflate offered where it is off',
    send: [
      ask({ 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' }),
      text('hello')
    ],
    expect: { echo: ['hello'], tcpEnds: false },
    why: 'RFC 6455 §9.1: an extension may be left out'
  },
  {
    name: 'an extension list of nonsense where none is on',
    send: [ask({ 'Sec-WebSocket-Extensions': ';;,=,"' }), text('hello')],
    expect: { echo: ['hello'], tcpEnds: false },
    why: 'ws does not parse this header without the extension'
  }
]

const missing: Case[] = [
  ...refused(400, [
    ['no Host', ask({ Host: undefined }), 'RFC 6455 §4.2.1, 2'],
    ['no key', ask({ 'Sec-WebSocket-Key': undefined }), 'RFC 6455 §4.2.1, 5'],
    ['an empty key', ask({ 'Sec-WebSocket-Key': '' }), 'RFC 6455 §4.2.1, 5'],
    [
      'a key of 15 bytes',
      ask({ 'Sec-WebSocket-Key': Buffer.alloc(15).toString('base64') }),
      'RFC 6455 §4.1, 7'
    ],
    [
      'a key of 17 bytes',
      ask({ 'Sec-WebSocket-Key': Buffer.alloc(17).toString('base64') }),
      'RFC 6455 §4.1, 7'
    ],
    [
      'a key of 18 bytes, which has no padding',
      ask({ 'Sec-WebSocket-Key': Buffer.alloc(18).toString('base64') }),
      'RFC 6455 §4.1, 7'
    ],
    [
      'a key that is no base64',
      ask({ 'Sec-WebSocket-Key': '!!!!!!!!!!!!!!!!!!!!!!==' }),
      'RFC 6455 §4.2.1, 5'
    ],
    [
      'a key in base64url',
      ask({ 'Sec-WebSocket-Key': '-_-_-_-_-_-_-_-_-_-_-w==' }),
      'RFC 4648 §4, not §5'
    ],
    ['two keys', ask({ 'Sec-WebSocket-Key': [KEY, KEY] }), 'RFC 6455 §11.3.1: once only'],
    ['HTTP/1.0', ask({}, 'GET PATH HTTP/1.0'), 'RFC 6455 §4.2.1, 1'],
    [
      'a subprotocol list with a hole',
      ask({ 'Sec-WebSocket-Protocol': 'a,,b' }),
      'RFC 6455 §4.2.1, 8: a list of tokens'
    ],
    [
      'a subprotocol twice',
      ask({ 'Sec-WebSocket-Protocol': 'a, a' }),
      'RFC 6455 §4.1, 10: all different'
    ],
    [
      'a body with a length',
      [ask({ 'Content-Length': '5' }), 'hello'],
      'it would be read as frames'
    ],
    [
      'a chunked body',
      [ask({ 'Transfer-Encoding': 'chunked' }), '5\r\nhello\r\n0\r\n\r\n'],
      'it would be read as frames'
    ]
  ]),
  ...refused(426, [
    ['no version', ask({ 'Sec-WebSocket-Version': undefined }), 'RFC 6455 §4.4'],
    ['version 8', ask({ 'Sec-WebSocket-Version': '8' }), 'RFC 6455 §4.4: a draft of 2011'],
    ['version 14', ask({ 'Sec-WebSocket-Version': '14' }), 'RFC 6455 §4.4'],
    [
      'version 13.0',
      ask({ 'Sec-WebSocket-Version': '13.0' }),
      'RFC 6455 §11.3.5: a number without point'
    ],
    ['version 013', ask({ 'Sec-WebSocket-Version': '013' }), 'RFC 6455 §4.1: no leading zeros'],
    [
      'version 13 twice',
      ask({ 'Sec-WebSocket-Version': ['13', '13'] }),
      'RFC 6455 §11.3.5: once only'
    ]
  ]),
  ...refused(403, [
    [
      'the Origin of another site',
      ask({ Origin: 'https://evil.example' }),
      'CWE-1385: the default allows only the own host'
    ],
    ['the Origin null', ask({ Origin: 'null' }), 'RFC 6454 §6.2: a sandboxed page'],
    [
      'two Origins, one of them right',
      ask({ Origin: ['http://127.0.0.1', 'https://evil.example'] }),
      'CWE-1385'
    ]
  ]),
  {
    name: 'two Hosts',
    send: [ask({ Host: ['127.0.0.1', 'elsewhere.example'] })],
    expect: { status: [400], tcpEnds: 500 },
    why: 'RFC 9112 §3.2: more than one Host is 400'
  },
  {
    name: 'a request without version',
    send: ['GET PATH\r\n\r\n'],
    expect: { status: [426], tcpEnds: 500 },
    why: 'HTTP/0.9 marks the end of an answer by the end of TCP'
  },
  ...['no Upgrade', 'no Connection', 'Connection without its token', 'an upgrade to h2c'].map(
    (name, i): Case => ({
      name,
      send: [
        ask(
          [
            { Upgrade: undefined },
            { Connection: undefined },
            { Connection: 'keep-alive' },
            { Upgrade: 'h2c' }
          ][i]
        )
      ],
      expect: { status: [426], tcpEnds: false },
      why: 'RFC 9110 §15.5.22: plain HTTP, which may continue'
    })
  ),
  {
    name: 'a POST',
    send: [ask({ 'Content-Length': '0' }, 'POST PATH HTTP/1.1')],
    expect: { status: [404], tcpEnds: false },
    why: 'RFC 6455 §4.2.1, 1: a GET; there is no such route'
  },
  ...refused(404, [
    [
      'an unknown path',
      ask({}, 'GET /nowhere HTTP/1.1'),
      'answered whole, and closed'
    ]
  ])
]

const malformed: Case[] = [
  ...refused(400, [
    [
      'a folded header',
      `GET PATH HTTP/1.1\r\n${GOOD}Sec-WebSocket-Key: dGhlIHNhbXBs\r\n ZSBub25jZQ==\r\n\r\n`,
      'RFC 9112 §5.2: rejected'
    ],
    [
      'a blank before the colon',
      `GET PATH HTTP/1.1\r\n${GOOD}X-A : b\r\n${END}`,
      'RFC 9112 §5.1: 400'
    ],
    ['a header without colon', `GET PATH HTTP/1.1\r\n${GOOD}nonsense\r\n${END}`, 'RFC 9112 §5'],
    ['a NUL in a header', `GET PATH HTTP/1.1\r\n${GOOD}X-A: b\0c\r\n${END}`, 'RFC 9110 §5.5'],
    ['a lone CR in a header', `GET PATH HTTP/1.1\r\n${GOOD}X-A: b\rc\r\n${END}`, 'RFC 9112 §2.2'],
    [
      'an umlaut in a header name',
      Buffer.from(`GET /x HTTP/1.1\r\n${GOOD}X-\xc4: b\r\n${END}`, 'latin1'),
      'RFC 9110 §5.1'
    ],
    [
      'lines that end with LF alone',
      `GET PATH HTTP/1.1\r\n${GOOD}${END}`.replaceAll('\r\n', '\n'),
      'RFC 9112 §2.2; Node requires both'
    ],
    [
      'both Content-Length and Transfer-Encoding',
      ask({ 'Content-Length': '5', 'Transfer-Encoding': 'chunked' }),
      'RFC 9112 §6.1: request smuggling'
    ],
    [
      'two different Content-Lengths',
      ask({ 'Content-Length': ['5', '6'] }),
      'RFC 9112 §6.3: request smuggling'
    ],
    [
      'a method in small letters',
      ask({}, 'get PATH HTTP/1.1'),
      'RFC 9110 §9.1: methods have a case'
    ],
    ['HTTP/9.9', ask({}, 'GET PATH HTTP/9.9'), 'RFC 9112 §2.3'],
    ['half an escape in the URL', ask({}, 'GET PATH%2 HTTP/1.1'), 'RFC 3986 §2.1'],
    [
      'HTTP/2 without negotiation',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
      'RFC 9113 §3.4: not agreed upon'
    ],
    ['a TLS hello on a plain port', hex('16 03 01 00 a5 01 00 00 a1 03 03 00 00 00 00'), 'no HTTP'],
    ['noise instead of a head', noise(512, 1), 'no HTTP'],
    ['half a head, and the end of TCP', [`GET PATH HTTP/1.1\r\n${GOOD}`, fin], 'RFC 9112 §8']
  ]),
  ...refused(431, [
    [
      'a header of 20 KiB',
      ask({ 'X-A': 'a'.repeat(20_480) }),
      'RFC 6585 §5; Node accepts 16 KiB in all'
    ],
    [
      'a thousand headers',
      ask(Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`X-${i}`, 'a'.repeat(16)]))),
      'RFC 6585 §5; Node accepts 16 KiB in all'
    ],
    [
      'a URL of 20 KiB',
      ask({}, `GET PATH?${'a'.repeat(20_480)} HTTP/1.1`),
      'RFC 6585 §5; Node accepts 16 KiB in all'
    ]
  ]),
  {
    name: 'a CONNECT',
    send: [ask({}, 'CONNECT 127.0.0.1:25 HTTP/1.1')],
    expect: { status: [], silence: true, tcpEnds: AT_ONCE },
    why: 'RFC 9110 §9.3.6: this is no proxy'
  },
  {
    name: 'no byte, and the end of TCP',
    send: [fin],
    expect: { status: [], silence: true, tcpEnds: AT_ONCE },
    why: 'a port scan'
  }
]

const pipelined: Case[] = [
  {
    name: 'a handshake and a second one behind it',
    send: [ask(), ask()],
    expect: { closeCode: 1002, tcpEnds: AT_ONCE },
    why: 'what follows the head is frames: G is FIN 0, RSV1'
  },
  {
    name: 'a handshake and noise behind it',
    send: [ask({}, undefined, Buffer.concat([hex('ff'), noise(4096, 2)]))],
    expect: { closeCode: 1002, tcpEnds: AT_ONCE },
    why: 'RFC 6455 §5.2'
  },
  {
    name: 'a plain GET, and an upgrade in its packet',
    send: [ask({ Upgrade: undefined, Connection: 'keep-alive' }), ask(), text('hello')],
    expect: { status: [426, 101], echo: ['hello'], tcpEnds: false },
    why: 'RFC 9112 §9.3.2: answers in order'
  },
  {
    name: 'a refused upgrade, and a good one in its packet',
    send: [ask({ 'Sec-WebSocket-Version': '8' }), ask(), text('hello')],
    expect: { status: [426], tcpEnds: AT_ONCE },
    why: 'a refused upgrade ends the connection'
  },
  {
    name: 'a message in fragments behind the head, with a ping in it',
    to: 'slow',
    send: [
      ask(
        {},
        undefined,
        Buffer.concat([frame(TEXT, 'a', { fin: false }), frame(PING, 'p'), frame(0, 'b')])
      )
    ],
    expect: { echo: ['ab'], pongs: 1, tcpEnds: false },
    why: 'bytes after the head are not lost, while a hook is slow'
  },
  {
    name: '8 MiB of messages behind the head while a hook is slow',
    to: 'slow',
    alone: true,
    send: [
      ask({}, undefined, text('first')),
      flood(times(8, text(Buffer.alloc(8192, 'x'))), 128),
      untilEchoes(1025)
    ],
    expect: { echo: 1025, tcpEnds: false },
    why: 'nothing is lost; TCP holds it back'
  },
  {
    name: 'noise behind the head while a hook is slow',
    to: 'slow',
    send: [ask({}, undefined, Buffer.concat([hex('ff'), noise(MIB, 3)]))],
    expect: { closeCode: 1002, tcpEnds: AT_ONCE },
    why: 'RFC 6455 §5.2'
  },
  {
    name: 'a hook that never answers',
    to: 'stuck',
    send: [ask()],
    expect: { status: [503], tcpEnds: AT_ONCE },
    why: 'nothing else limits the time of a hook; upgradeTimeoutMs'
  },
  {
    name: 'a hook that never answers, and the end of TCP',
    to: 'stuck',
    send: [ask(), fin],
    expect: { status: [503], tcpEnds: AT_ONCE },
    why: 'half-open TCP is still answered'
  },
  {
    name: 'a fragmented message cut by the end of the packet, and the rest later',
    send: [
      ask({}, undefined, fragments(TEXT, 'first half ', 'second').subarray(0, 19)),
      fragments(TEXT, 'first half ', 'second').subarray(19)
    ],
    expect: { echo: ['first half second'], tcpEnds: false },
    why: 'bytes after the head are not lost'
  }
]

export const handshakes: readonly Case[] = [...good, ...missing, ...malformed, ...pipelined]
