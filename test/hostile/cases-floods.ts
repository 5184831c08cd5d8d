import { BINARY, CONTINUATION, frame, MIB, PING, PONG, TEXT, text, times } from './bytes.ts'
import type { Case } from './case.ts'
import {
  ask, flood, open, reset, startReading, stopReading, untilClose, untilEchoes
} from './steps.ts'

const AT_ONCE = 4500
/** closeTimeoutMs, and room for a busy machine. */
const CLOSE_TIMEOUT = 10_000

const part = (payload: string | Uint8Array, fin = false): Buffer =>
  frame(CONTINUATION, payload, { fin })
const begun = text('', { fin: false })

const control: Case[] = [
  {
    name: '50 pings in one packet',
    send: [open, times(50, frame(PING, 'p')), text('last')],
    expect: { echo: ['last'], pongs: 50, tcpEnds: false },
    why: 'RFC 6455 §5.5.2: each is answered'
  },
  {
    name: '100 000 pings without a pause',
    alone: true,
    send: [open, flood(times(1000, frame(PING)), 100)],
    expect: { pongs: 100_000, tcpEnds: false },
    why: 'RFC 6455 §5.5.3: a peer that reads its pongs is answered; ws cuts at 60 pongs not sent ' +
      'yet'
  },
  {
    name: '100 000 pings of 125 bytes, and not one pong read',
    alone: true,
    send: [
      open,
      stopReading,
      flood(times(1000, frame(PING, Buffer.alloc(125))), 100),
      startReading
    ],
    expect: { pongs: 'any', tcpEnds: AT_ONCE },
    why: 'the bytes that wait to be sent are bounded'
  },
  {
    name: '100 000 pongs',
    alone: true,
    send: [open, flood(times(1000, frame(PONG)), 100), text('last'), untilEchoes(1)],
    expect: { echo: ['last'], tcpEnds: false },
    why: 'RFC 6455 §5.5.3: no answer, and nothing kept'
  },
  {
    name: '20 000 pongs of 125 bytes within a fragmented text',
    alone: true,
    send: [
      open,
      text('a', { fin: false }),
      flood(times(1000, frame(PONG, Buffer.alloc(125))), 20),
      part('b', true),
      untilEchoes(1)
    ],
    expect: { echo: ['ab'], tcpEnds: false },
    why: 'RFC 6455 §5.4'
  }
]

const fragmented: Case[] = [
  {
    name: '16 000 empty fragments, and the end',
    alone: true,
    send: [open, begun, flood(times(1000, part('')), 16), part('x', true), untilEchoes(1)],
    expect: { echo: ['x'], tcpEnds: false },
    why: 'RFC 6455 §5.4: allowed'
  },
  {
    name: '100 000 empty fragments',
    alone: true,
    send: [open, begun, flood(times(1000, part('')), 100), untilClose],
    expect: { closeCode: 1008, tcpEnds: AT_ONCE },
    why: '16 384 fragments'
  },
  {
    name: '100 000 fragments of one byte',
    alone: true,
    send: [open, begun, flood(times(1000, part('x')), 100), untilClose],
    expect: { closeCode: 1008, tcpEnds: AT_ONCE },
    why: '16 384 fragments'
  },
  {
    name: '1 MiB in fragments of 64 bytes',
    alone: true,
    send: [
      open,
      frame(TEXT, Buffer.alloc(64, 'x'), { fin: false }),
      flood(times(8191, part(Buffer.alloc(64, 'x'))), 2),
      part(Buffer.alloc(64, 'x'), true),
      untilEchoes(1)
    ],
    expect: { echo: [`(${MIB} bytes)`], tcpEnds: false },
    why: 'a valid message is accepted'
  },
  {
    name: '200 texts begun and left, of 64 KiB each',
    alone: true,
    peers: 200,
    send: [open, text(Buffer.alloc(65_535, 'x'), { fin: false }), reset],
    expect: { status: 'any', nextServed: true, tcpEnds: AT_ONCE },
    why: 'maxMessageBytes for each; freed with the connection'
  }
]

const tiny: Case[] = [
  {
    name: '20 000 empty texts',
    alone: true,
    send: [open, flood(times(1000, text('')), 20), untilEchoes(20_000)],
    expect: { echo: 20_000, tcpEnds: false },
    why: 'one read holds over 9 000 of them'
  },
  {
    name: '20 000 texts of one byte',
    alone: true,
    send: [open, flood(times(1000, text('x')), 20), untilEchoes(20_000)],
    expect: { echo: 20_000, tcpEnds: false },
    why: 'one read holds over 9 000 of them'
  },
  {
    name: '10 000 texts of one byte in the packet of the handshake',
    alone: true,
    send: [ask({}, undefined, times(10_000, text('x'))), untilEchoes(10_000)],
    expect: { echo: 10_000, tcpEnds: false },
    why: 'bytes after the head are not lost; one read holds many of them'
  },
  {
    name: '32 MiB in binaries of 64 KiB',
    alone: true,
    send: [open, flood(frame(BINARY, Buffer.alloc(65_536)), 512), untilEchoes(512)],
    expect: { echo: 512, tcpEnds: false },
    why: 'paused by TCP, not buffered'
  }
]

const giants: Case[] = [
  {
    name: '200 heads that announce 1 MiB, and 10 bytes each',
    alone: true,
    peers: 200,
    send: [open, text('', { length: BigInt(MIB) }), Buffer.alloc(10), reset],
    expect: { status: 'any', nextServed: true, tcpEnds: AT_ONCE },
    why: 'no memory is reserved for announced bytes'
  },
  {
    name: '200 heads that announce 2^53-1 bytes',
    alone: true,
    peers: 200,
    send: [open, text('', { length: 2n ** 53n - 1n })],
    expect: { closeCode: 1009, tcpEnds: AT_ONCE },
    why: 'maxMessageBytes, from the header alone'
  },
  {
    name: '1 GiB announced, and sent',
    alone: true,
    send: [
      open,
      frame(BINARY, '', { length: BigInt(1024 * MIB) }),
      flood(Buffer.alloc(65_536), 1024)
    ],
    expect: { closeCode: 1009, tcpEnds: AT_ONCE },
    why: 'maxMessageBytes; the rest is not read into memory'
  }
]

const notReading: Case[] = [
  {
    name: '64 MiB sent in texts of 64 KiB by a peer that reads only then',
    alone: true,
    send: [
      open,
      stopReading,
      flood(text(Buffer.alloc(65_535, 'x')), 1024),
      startReading,
      untilClose
    ],
    expect: { echo: 'any', serverGrowsBelowMib: 64, tcpEnds: AT_ONCE },
    why: 'TCP ends after the 1013, which the peer does not read: maxBufferedBytes and one message'
  },
  {
    // Kernels keep 4 to 10 MiB of a connection: more than that is sent.
    name: '9 MiB sent in texts of 64 KiB, then 983 040 of one byte, by a peer that reads only then',
    alone: true,
    send: [
      open,
      stopReading,
      flood(text(Buffer.alloc(65_535, 'x')), 144),
      flood(times(8192, text('x')), 120),
      startReading,
      untilClose
    ],
    expect: { echo: 'any', serverGrowsBelowMib: 64, tcpEnds: AT_ONCE },
    why: 'maxBufferedBytes, also for many small messages'
  },
  {
    name: '32 MiB sent in texts of 1 MiB by a peer that reads only then',
    alone: true,
    send: [open, stopReading, flood(text(Buffer.alloc(MIB, 'x')), 32), startReading, untilClose],
    expect: { echo: 'any', serverGrowsBelowMib: 64, tcpEnds: AT_ONCE },
    why: 'TCP ends after the 1013, which the peer does not read: maxBufferedBytes and one message'
  },
  {
    name: 'texts of 64 KiB for as long as TCP lasts, by a peer that never reads',
    to: 'hasty',
    alone: true,
    send: [open, stopReading, flood(text(Buffer.alloc(65_535, 'x')), 4096)],
    expect: { serverGrowsBelowMib: 64, tcpEnds: CLOSE_TIMEOUT },
    why: 'closeTimeoutMs, because the peer does not answer the close'
  }
]

const crowds: Case[] = [
  {
    name: '500 connections opened and reset',
    alone: true,
    peers: 500,
    send: [open, reset],
    expect: { status: 'any', nextServed: true, tcpEnds: AT_ONCE },
    why: 'nothing of them stays in memory'
  },
  {
    name: '500 handshakes begun and reset',
    alone: true,
    peers: 500,
    send: ['GET PATH HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n', reset],
    expect: { status: 'any', nextServed: true, tcpEnds: AT_ONCE },
    why: 'nothing of them stays in memory'
  },
  {
    name: '500 handshakes refused',
    alone: true,
    peers: 500,
    send: [ask({ 'Sec-WebSocket-Key': 'bad' })],
    expect: { status: [400], tcpEnds: CLOSE_TIMEOUT },
    why: 'the socket is closed, never held'
  }
]

export const floods: readonly Case[] = [
  ...control,
  ...fragmented,
  ...tiny,
  ...giants,
  ...notReading,
  ...crowds
]
