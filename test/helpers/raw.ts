import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Teardown } from './server.ts'

/** A client frame, masked with zeros. `payload` is at most 65 535 bytes. */
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

/** The head of a good upgrade request. A header is left out by undefined. */
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
  readonly payload: Buffer
}

/** A bare TCP client that keeps all bytes it got. */
export class RawClient {
  readonly socket: Socket
  /** How many bytes have come: cheaper to look at than what they are. */
  size = 0
  #chunks: Buffer[] = []
  /** Those found so far, and where the next one begins; 0: the end of the head is not found. */
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

  /** To look only at what comes from now on. */
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
   * Waits until `condition` holds after some read. Rejects when TCP ends before, or after
   * `timeoutMs`.
   */
  async until (condition: (client: RawClient) => boolean, timeoutMs = 15_000): Promise<this> {
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

  /** Server frames after the 101: opcode and payload of each whole one. */
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
        payload: bytes.subarray(at + head, at + head + length)
      })
      this.#at += head + length
    }
    return [...this.#frames]
  }
}

/** Its frames in short: opcode and payload, `8 1000` for a close frame with that code. */
export function words (client: RawClient): string[] {
  return client
    .frames()
    .map(({ opcode, payload }) =>
      opcode === 8 ? `8 ${payload.readUInt16BE()}` : `${opcode} ${payload.toString()}`
    )
}

/** Connects to a port of 127.0.0.1; destroyed when the test ends. */
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

/** The same over TLS, whoever the server says that it is. */
export async function connectRawTls (t: Teardown, port: number): Promise<RawClient> {
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
  t.teardown(() => socket.destroy())
  await once(socket, 'secureConnect')
  return new RawClient(socket)
}

/** An HTTP answer as it came: header names in lower case, one value for each line. */
export interface Answer {
  status: number
  headers: Record<string, string[]>
  body: string
}

/**
 * Splits what came into its HTTP answers; a body is as long as Content-Length says, or goes to the
 * end.
 */
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
 * Sends these bytes, waits until TCP has ended, and gives the one answer. Rejects after
 * `timeoutMs`, and when there are more answers or none.
 */
export async function exchange (
  t: Teardown,
  port: number,
  bytes: string | Uint8Array,
  timeoutMs = 5000
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
