import { close, frame, PING, TEXT, text, MIB } from './bytes.ts'
import type { Case, Step } from './case.ts'
import { ask, stopReading, fin, open, reset, untilClose, untilEchoes, untilPing } from './steps.ts'

const AT_ONCE = 4500
/** Half a second of patience at the hasty endpoint, twice over, and room for a busy machine. */
const SOON = 4800
/** closeTimeoutMs of 5 s, and room for a busy machine. */
const CLOSE_TIMEOUT = 10_000

const resets: Case[] = (
  [
    ['before a byte was sent', 'echo', []],
    ['within the request line', 'echo', ['GET /w']],
    ['within the head', 'echo', ['GET PATH HTTP/1.1\r\nHost: a\r\nUpgrade: webs']],
    ['right behind the handshake', 'echo', [ask()]],
    ['right behind a refused handshake', 'echo', [ask({ 'Sec-WebSocket-Version': '8' })]],
    ['while a hook is slow', 'slow', [ask()]],
    [
      'while a hook is slow, with messages sent',
      'slow',
      [ask({}, undefined, text('hello'))]
    ],
    ['while a hook never answers', 'stuck', [ask()]],
    ['when it was open', 'echo', [open]],
    ['within a frame head', 'echo', [open, text(Buffer.alloc(300)).subarray(0, 3)]],
    ['within a payload', 'echo', [open, text(Buffer.alloc(300)).subarray(0, 100)]],
    ['between two fragments', 'echo', [open, text('a', { fin: false })]],
    ['right behind a message', 'echo', [open, text('hello')]],
    ['behind a ping', 'echo', [open, frame(PING, 'p')]],
    ['with 1 MiB of answer unread', 'echo', [open, stopReading, text(Buffer.alloc(MIB, 'x'))]],
    [
      'while a message is inflated',
      'deflate',
      [open, text(Buffer.from('4bcc4a04', 'hex'), { rsv: 4 })]
    ],
    ['right behind its close frame', 'echo', [open, close(1000)]],
    ['when both close frames were exchanged', 'echo', [open, close(1000), untilClose]],
    ['right behind a bad frame', 'echo', [open, frame(3)]],
    [
      'while the server waits for its close frame',
      'deflate',
      [open, text(Buffer.alloc(MIB + 1, 'x')), untilClose]
    ]
  ] as const satisfies ReadonlyArray<readonly [string, Case['to'] & string, readonly Step[]]>
).map(([name, to, send]) => ({
  name: `a reset ${name}`,
  to,
  send: [...send, reset],
  expect: { status: 'any', nextServed: true, tcpEnds: AT_ONCE },
  why: 'other connections are not affected'
}))

const halfOpen: Case[] = [
  {
    name: 'the end of TCP when it was open',
    send: [open, fin],
    expect: { silence: true, tcpEnds: AT_ONCE },
    why: 'RFC 6455 §7.1.5: 1006; no frame is due'
  },
  {
    name: 'the end of TCP within a frame',
    send: [open, text('hello').subarray(0, 8), fin],
    expect: { silence: true, tcpEnds: AT_ONCE },
    why: 'RFC 6455 §7.1.5: 1006'
  },
  {
    name: 'the end of TCP between two fragments',
    send: [open, text('a', { fin: false }), fin],
    expect: { silence: true, tcpEnds: AT_ONCE },
    why: 'RFC 6455 §7.1.5: 1006'
  },
  {
    name: 'the end of TCP behind a message',
    send: [open, text('hello'), untilEchoes(1), fin],
    expect: { echo: ['hello'], tcpEnds: AT_ONCE },
    why: 'RFC 6455 §7.1.5: 1006'
  },
  {
    name: 'a peer that is silent, to pings too',
    to: 'hasty',
    send: [open],
    expect: { pings: 'some', tcpEnds: SOON },
    why: 'the heartbeat: TCP ends without a close frame'
  },
  {
    name: 'a peer that is silent in the middle of a frame',
    to: 'hasty',
    send: [open, text('hello').subarray(0, 8)],
    expect: { pings: 'some', tcpEnds: SOON },
    why: 'the heartbeat: an incomplete frame is no answer to a ping'
  },
  {
    name: 'a peer that is silent in the middle of a close frame',
    to: 'hasty',
    send: [open, close(1000).subarray(0, 7)],
    expect: { pings: 'some', tcpEnds: SOON },
    why: 'the heartbeat'
  },
  {
    name: 'a peer that is silent and reads nothing',
    to: 'hasty',
    send: [open, stopReading, untilPing, ({ socket }) => socket.resume()],
    expect: { pings: 'some', tcpEnds: SOON },
    why: 'the heartbeat'
  }
]

const unfinished: Case[] = [
  {
    name: 'a refused handshake, and TCP held open',
    to: 'hasty',
    peer: { holds: true },
    send: [ask({ 'Sec-WebSocket-Version': '8' })],
    expect: { status: [426], tcpEnds: SOON },
    why: 'TCP ends after closeTimeoutMs'
  },
  {
    name: 'a hook that never answers, and TCP held open',
    to: 'stuck',
    peer: { holds: true },
    send: [ask()],
    expect: { status: [503], tcpEnds: SOON },
    why: 'TCP ends after closeTimeoutMs'
  },
  {
    name: 'a bad frame, and TCP held open',
    to: 'hasty',
    peer: { holds: true },
    send: [open, frame(3)],
    expect: { closeCode: 1002, tcpEnds: SOON },
    why: 'TCP ends after closeTimeoutMs'
  },
  {
    name: 'a bad frame, and TCP held open, with the default time limits',
    peer: { holds: true },
    send: [open, frame(3)],
    expect: { closeCode: 1002, tcpEnds: CLOSE_TIMEOUT },
    why: 'closeTimeoutMs is 5 s'
  },
  {
    name: 'a close frame, and TCP held open',
    to: 'hasty',
    peer: { holds: true },
    send: [open, close(1000)],
    expect: { closeCode: 1000, tcpEnds: SOON },
    why: 'RFC 6455 §7.1.1: the server ends TCP first; closeTimeoutMs'
  },
  {
    name: 'a close frame, and TCP held open, with the default time limits',
    peer: { holds: true },
    send: [open, close(1000)],
    expect: { closeCode: 1000, tcpEnds: CLOSE_TIMEOUT },
    why: 'closeTimeoutMs is 5 s'
  },
  {
    name: 'a close frame that is never answered',
    to: 'deflate',
    peer: { stubborn: true },
    send: [open, text(Buffer.alloc(MIB + 1, 'x')), untilClose],
    expect: { closeCode: 1009, tcpEnds: CLOSE_TIMEOUT },
    why: 'TCP ends after closeTimeoutMs'
  },
  {
    name: 'a close frame that is answered with messages',
    to: 'deflate',
    peer: { stubborn: true },
    send: [open, text(Buffer.alloc(MIB + 1, 'x')), untilClose, text('late'), frame(TEXT, 'later')],
    expect: { closeCode: 1009, tcpEnds: CLOSE_TIMEOUT },
    why: 'nothing is handled after the end'
  }
]

export const endings: readonly Case[] = [...resets, ...halfOpen, ...unfinished]
