import { setImmediate as nextTurn } from 'node:timers/promises'
import { NotSupported, type Peer } from './peer.ts'
import type { Step } from './case.ts'

/** The head of an upgrade request. undefined leaves a header out, a list repeats it. */
export function handshake (
  headers: Readonly<Record<string, string | readonly string[] | undefined>> = {},
  line = 'GET PATH HTTP/1.1'
): (peer: Peer) => string {
  return ({ address }) => {
    const all: Record<string, string | readonly string[] | undefined> = {
      Host: `${address.host}:${address.port}`,
      Upgrade: 'websocket',
      Connection: 'Upgrade',
      'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
      'Sec-WebSocket-Version': '13',
      ...address.deflate ? { 'Sec-WebSocket-Extensions': 'permessage-deflate' } : {},
      ...headers
    }
    const lines = Object.entries(all).flatMap(([name, value]) =>
      value === undefined ? [] : [value].flat().map((one) => `${name}: ${one}`)
    )
    return [line.replaceAll('PATH', address.path), ...lines, '', ''].join('\r\n')
  }
}

/** Sends the head of an upgrade, and bytes right behind it in the same packet. */
export function ask (
  headers?: Parameters<typeof handshake>[0],
  line?: string,
  behind: Uint8Array = Buffer.alloc(0)
): Step {
  return (peer) =>
    peer.write(Buffer.concat([Buffer.from(handshake(headers, line)(peer), 'latin1'), behind]))
}

/** Opens a connection: waits for the 101. */
export const open: Step = async (peer) => {
  await peer.write(handshake()(peer))
  await peer.until(() => peer.received.status.length > 0)
  if (
    peer.address.deflate &&
    peer.received.status[0] === 101 &&
    !/\r\nsec-websocket-extensions: *permessage-deflate/i.test(peer.head)
  ) {
    throw new NotSupported('no permessage-deflate')
  }
}

/** Sends the same bytes repeatedly, as fast as the server reads, until TCP ends. */
export function flood (bytes: Uint8Array, repeat: number): Step {
  return async (peer) => {
    for (let i = 0; i < repeat && peer.socket.writable; i++) {
      await peer.write(bytes)
      // Lets this peer read, and other peers run.
      if (i % 16 === 15) await nextTurn()
    }
  }
}

/** Sends each byte in its own packet. */
export function drip (bytes: Uint8Array | ((peer: Peer) => string)): Step {
  return async (peer) => {
    const data = Buffer.from(typeof bytes === 'function' ? bytes(peer) : bytes)
    for (const byte of data) {
      await peer.write(Buffer.from([byte]))
      await nextTurn()
    }
  }
}

/** Ends the peer's side of TCP. */
export const fin: Step = ({ socket }) => { socket.end() }

/** Ends TCP with a reset, once all bytes have left. */
export const reset: Step = async ({ socket }) => {
  if (socket.writableLength > 0) await new Promise((resolve) => socket.write('', resolve))
  socket.resetAndDestroy()
}

/** Stops reading. */
export const stopReading: Step = ({ socket }) => { socket.pause() }
export const startReading: Step = ({ socket }) => { socket.resume() }

export const untilClose: Step = (peer) => peer.until(() => peer.received.closeCode !== undefined)
export const untilPing: Step = (peer) => peer.until(() => peer.received.pings > 0)

export function untilEchoes (count: number): Step {
  return (peer) => peer.until(() => peer.received.messageCount >= count)
}
