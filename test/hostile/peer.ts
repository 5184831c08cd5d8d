import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { constants, inflateRawSync } from 'node:zlib'
import { KEPT_MESSAGES, KEPT_TEXT, nothing, type Step } from './case.ts'
import { close, PONG, frame } from './bytes.ts'

export interface Address {
  readonly host: string
  readonly port: number
  readonly path: string
  /** Ask for permessage-deflate. */
  readonly deflate: boolean
}

export interface PeerOptions {
  /** It never answers a close frame. */
  readonly stubborn?: true
  /** It keeps its own side of TCP open when the server has closed the other. */
  readonly holds?: true
}

/** The server does not speak what the case is about. */
export class NotSpoken extends Error {}

const PATIENCE_MS = 5000
const TAIL = Buffer.from([0, 0, 0xff, 0xff])
const WINDOW = 32_768

/** A client that does as it is told, byte for byte, and notes what comes. */
export class Peer {
  readonly came = nothing()
  readonly address: Address
  readonly socket: Socket
  readonly #options: PeerOptions
  #head = ''
  #chunks: Buffer[] = []
  #have = 0
  #need = 1
  #speaks: 'http' | 'body' | 'frames' = 'http'
  #message: { text: boolean, deflated: boolean, parts: Buffer[] } | undefined
  #window = Buffer.alloc(0)
  #wake: (() => void) | undefined
  #trickle: NodeJS.Timeout | undefined

  constructor (address: Address, options: PeerOptions = {}) {
    this.address = address
    this.#options = options
    this.socket = connect({
      host: address.host,
      port: address.port,
      allowHalfOpen: options.holds === true,
      noDelay: true
    })
    this.socket.on('data', (chunk: Buffer) => {
      this.#read(chunk)
      this.#wake?.()
    })
    this.socket.on('error', () => {})
    // Who holds its side hears of the cut only as the answer to more bytes.
    this.socket.on('end', () => {
      if (options.holds === true) {
        this.#trickle = setInterval(() => this.socket.write(frame(PONG)), 50)
      }
    })
    this.socket.on('close', () => {
      clearInterval(this.#trickle)
      this.came.ended = true
      this.#wake?.()
    })
  }

  /** Does the steps one after the other. */
  async perform (steps: readonly Step[]): Promise<void> {
    if (this.socket.connecting) {
      await Promise.race([once(this.socket, 'connect'), once(this.socket, 'close')])
    }
    for (const step of steps) {
      if (typeof step === 'function') await step(this)
      else {
        await this.write(
          typeof step === 'string' ? step.replaceAll('PATH', this.address.path) : step
        )
      }
    }
  }

  /**
   * Resolves when there is room for more, or TCP has ended, or the server has not read for long.
   */
  async write (bytes: string | Uint8Array): Promise<void> {
    if (!this.socket.writable || this.socket.write(bytes)) return
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        this.socket.off('drain', done).off('close', done)
        resolve()
      }
      const timer = setTimeout(done, PATIENCE_MS + 3000)
      this.socket.on('drain', done).on('close', done)
    })
  }

  /** True when `condition` has come true; false when TCP has ended or time is up before. */
  async until (condition: () => boolean, timeoutMs = PATIENCE_MS): Promise<boolean> {
    const deadline = performance.now() + timeoutMs
    while (!condition()) {
      const left = deadline - performance.now()
      if (this.came.ended || left <= 0) return false
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#wake = () => { clearTimeout(timer); resolve() }
      })
    }
    return true
  }

  destroy (): void {
    clearInterval(this.#trickle)
    this.socket.destroy()
  }

  /** Header lines of the last answer. */
  get head (): string {
    return this.#head
  }

  #read (chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#have += chunk.length
    // Joined only when a whole frame is there: a large one comes in thousands of chunks.
    while (this.#have >= this.#need) {
      const bytes =
        this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks)
      const used =
        this.#speaks === 'http'
          ? this.#readHead(bytes)
          : this.#speaks === 'body'
            ? this.#readBody(bytes)
            : this.#readFrames(bytes)
      this.#chunks = used < bytes.length ? [bytes.subarray(used)] : []
      this.#have = bytes.length - used
    }
  }

  #readHead (bytes: Buffer): number {
    const end = bytes.indexOf('\r\n\r\n')
    if (end === -1) {
      this.#need = bytes.length + 1
      return 0
    }
    this.#head = bytes.toString('latin1', 0, end)
    this.#need = 1
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(this.#head)?.[1])
    this.came.status.push(status)
    if (status === 101) {
      this.#speaks = 'frames'
      this.#need = 2
    } else {
      this.#speaks = 'body'
      this.#need = Number(/\r\ncontent-length: *(\d+)/i.exec(this.#head)?.[1] ?? 0)
    }
    return end + 4
  }

  #readBody (_bytes: Buffer): number {
    const used = this.#need
    this.#speaks = 'http'
    this.#need = 1
    return used
  }

  #readFrames (bytes: Buffer): number {
    let at = 0
    for (;;) {
      if (this.came.broken !== undefined) {
        this.#need = 1
        return bytes.length
      }
      this.#need = 2
      if (bytes.length - at < 2) return at
      const [first = 0, second = 0] = bytes.subarray(at, at + 2)
      const size = second & 0x7f
      const head = size < 126 ? 2 : size === 126 ? 4 : 10
      this.#need = head
      if (bytes.length - at < head) return at
      const length =
        size < 126
          ? size
          : size === 126
            ? bytes.readUInt16BE(at + 2)
            : Number(bytes.readBigUInt64BE(at + 2))
      this.#need = head + length
      if (bytes.length - at < this.#need) return at
      if ((second & 0x80) !== 0) this.came.broken = 'a masked frame'
      this.#take(first, bytes.subarray(at + head, at + head + length))
      at += this.#need
    }
  }

  #take (first: number, payload: Buffer): void {
    const opcode = first & 0x0f
    switch (opcode) {
      case 8: return this.#closed(payload)
      case 9: this.came.pings++; return
      case 10: this.came.pongs++; return
    }
    if (opcode > 2 || (opcode === 0) === (this.#message === undefined)) {
      this.came.broken = `opcode ${opcode}`
      return
    }
    const message = (this.#message ??= {
      text: opcode === 1,
      deflated: (first & 0x40) !== 0,
      parts: []
    })
    message.parts.push(payload)
    if ((first & 0x80) === 0) return
    this.#message = undefined
    const joined = message.parts.length === 1 ? payload : Buffer.concat(message.parts)
    const data = message.deflated ? this.#inflate(joined) : joined
    this.came.messageCount++
    this.came.messageBytes += data.length
    if (this.came.messageCount <= KEPT_MESSAGES) {
      this.came.messages.push(inWords(data, message.text))
    }
  }

  /** RFC 7692 §7.2.2. The server goes on with its window from message to message. */
  #inflate (payload: Buffer): Buffer {
    const data = inflateRawSync(Buffer.concat([payload, TAIL]), {
      finishFlush: constants.Z_SYNC_FLUSH,
      ...(this.#window.length > 0 ? { dictionary: this.#window } : {})
    })
    this.#window = Buffer.concat([this.#window, data.subarray(-WINDOW)]).subarray(-WINDOW)
    return data
  }

  #closed (payload: Buffer): void {
    if (this.came.closeCode !== undefined) {
      this.came.broken = 'a second close frame'
      return
    }
    this.came.closeCode = payload.length === 0 ? 1005 : payload.readUInt16BE(0)
    if (this.#options.stubborn !== true && this.socket.writable) this.socket.write(close(1000))
  }
}

function inWords (data: Buffer, text: boolean): string {
  if (data.length > KEPT_TEXT) return `(${data.length} bytes)`
  return text ? data.toString() : `0x${data.toString('hex')}`
}
