import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Teardown } from './server.ts'

/** Builds a client frame, masked with zeros. `payload` has at most 65 535 bytes. */
export function frame (
  opcode: number,
  payload: string | Uint8Array = '',
  { fin = true, rsv = 0 } = {}
): Buffer {
  const data = Buffer.from(payload as Uint8Array)
  const head =
    data.length < 126 ? [data.length | 0x80] : [126 | 0x80, data.length >> 8, data.length & 0xff]
  return Buffer.concat([
    Buffer.from([(fin ? 0x80 : 0) | (rsv << 4) | opcode, ...head, 0, 0, 0, 0]),
    data
  ])
}

export const text = (payload: string): Buffer => frame(1, payload)
export const binary = (payload: Uint8Array): Buffer => frame(2, payload)

export function closeFrame (code?: number, reason = ''): Buffer {
  return frame(
    8,
    code === undefined
      ? ''
      : Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason)])
  )
}

/** Builds the head of a valid upgrade request. A header with the value undefined is left out. */
export function handshake (
  path: string,
  headers: Record<string, string | undefined> = {},
  line = `GET ${path} HTTP/1.1`
): string {
  const all: Record<string, string | undefined> = {
    Host: '127.0.0.1',
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version': '13',
    ...headers
  }
  const lines = Object.entries(all)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${value}`)
  return [line, ...lines, '', ''].join('\r\n')
}

export interface ServerFrame {
  readonly opcode: number
  /** RSV1 is set. */
  readonly compressed?: true
  readonly payload: Buffer
}

/** A TCP client that keeps all received bytes. */
export class RawClient {
  readonly socket: Socket
  /** The number of received bytes. Cheaper than `bytes.length`. */
  size = 0
  #chunks: Buffer[] = []
  /**
   * The frames found so far. `#at`: the start of the next frame, or 0 until the end of the head is
   * found.
   */
  #frames: ServerFrame[] = []
  #at = 0
  readonly ended: Promise<void>

  constructor (socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk) => {
      this.size += chunk.length
      this.#chunks.push(chunk)
    })
    socket.on('error', () => {})
    this.ended = new Promise((resolve) => socket.on('close', () => resolve()))
  }

  get bytes (): Buffer {
    const bytes = Buffer.concat(this.#chunks)
    this.#chunks = [bytes]
    return bytes
  }

  /** Replaces the received bytes, to look only at later ones. */
  set bytes (bytes: Buffer) {
    this.#chunks = [bytes]
    this.#frames = []
    this.#at = 0
  }

  get text (): string {
    return this.bytes.toString('latin1')
  }

  get status (): number {
    return Number(/^HTTP\/1\.1 (\d+)/.exec(this.bytes.toString('latin1', 0, 16))?.[1])
  }

  /**
   * Waits until `condition` is true. Checks it after each read. Rejects when TCP ends before, or
   * after `timeoutMs`.
   */
  async until (condition: (client: RawClient) => boolean, timeoutMs = 20_000): Promise<this> {
    const signal = AbortSignal.timeout(timeoutMs)
    while (!condition(this)) {
      if (this.socket.readableEnded || this.socket.destroyed) {
        throw new Error(`TCP ended before; got ${JSON.stringify(this.text.slice(0, 300))}`)
      }
      await Promise.race([once(this.socket, 'data', { signal }), this.ended])
    }
    return this
  }

  write (data: string | Uint8Array): this {
    this.socket.write(data)
    return this
  }

  /** The complete server frames after the 101. */
  frames (): ServerFrame[] {
    const bytes = this.bytes
    if (this.#at === 0) this.#at = bytes.indexOf('\r\n\r\n') + 4
    if (this.#at < 4) this.#at = 0
    while (this.#at > 0 && this.#at + 2 <= bytes.length) {
      const at = this.#at
      let length = (bytes[at + 1] as number) & 0x7f
      let head = 2
      if (length === 126) {
        if (at + 4 > bytes.length) break
        length = bytes.readUInt16BE(at + 2)
        head = 4
      } else if (length === 127) {
        if (at + 10 > bytes.length) break
        length = Number(bytes.readBigUInt64BE(at + 2))
        head = 10
      }
      if (at + head + length > bytes.length) break
      this.#frames.push({
        opcode: (bytes[at] as number) & 0x0f,
        ...(((bytes[at] as number) & 0x40) === 0 ? {} : { compressed: true }),
        payload: bytes.subarray(at + head, at + head + length)
      })
      this.#at += head + length
    }
    return [...this.#frames]
  }
}

/** Describes the frames: opcode and payload, `8 1000` for a close frame with this code. */
export function words (client: RawClient): string[] {
  return client
    .frames()
    .map(({ opcode, payload }) =>
      opcode === 8 ? `8 ${payload.readUInt16BE()}` : `${opcode} ${payload.toString()}`
    )
}

/** Connects to a port of 127.0.0.1. The socket is destroyed when the test ends. */
export async function connectRaw (
  t: Teardown,
  port: number,
  { allowHalfOpen = false } = {}
): Promise<RawClient> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen })
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  return new RawClient(socket)
}

/** Connects over TLS, with any certificate. The socket is destroyed when the test ends. */
export async function connectRawTls (t: Teardown, port: number): Promise<RawClient> {
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
  t.teardown(() => socket.destroy())
  await once(socket, 'secureConnect')
  return new RawClient(socket)
}

/** A parsed HTTP answer: header names in lower case, one value for each header line. */
export interface Answer {
  status: number
  headers: Record<string, string[]>
  body: string
}

/** Parses HTTP answers. A body ends after Content-Length bytes, or at the end of the text. */
export function parseAnswers (text: string): Answer[] {
  const answers: Answer[] = []
  for (let at = 0; at < text.length;) {
    const end = text.indexOf('\r\n\r\n', at)
    if (end === -1) break
    const [line = '', ...lines] = text.slice(at, end).split('\r\n')
    const headers: Record<string, string[]> = {}
    for (const one of lines) {
      const colon = one.indexOf(':')
      const name = one.slice(0, colon).toLowerCase()
      headers[name] = [...headers[name] ?? [], one.slice(colon + 1).trim()]
    }
    const status = Number(line.split(' ')[1])
    const length =
      status < 200 && status !== 101 ? 0 : Number(headers['content-length']?.[0] ?? text.length)
    const body = text.slice(end + 4, end + 4 + length)
    answers.push({ status, headers, body })
    at = end + 4 + body.length
  }
  return answers
}

/**
 * Sends the bytes, waits until TCP has ended, and returns the answer. Rejects after `timeoutMs`,
 * and when there is not exactly one answer.
 */
export async function exchange (
  t: Teardown,
  port: number,
  bytes: string | Uint8Array,
  timeoutMs = 20_000
): Promise<Answer> {
  const client = (await connectRaw(t, port)).write(bytes)
  if (!client.socket.closed) {
    await once(client.socket, 'close', { signal: AbortSignal.timeout(timeoutMs) })
  }
  const answers = parseAnswers(client.text)
  if (answers.length !== 1) {
    throw new Error(`${answers.length} answers: ${JSON.stringify(client.text.slice(0, 1000))}`)
  }
  return answers[0] as Answer
}
