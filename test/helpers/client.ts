import type { IncomingMessage } from 'node:http'
import { WebSocket, type ClientOptions } from 'ws'
import type { Teardown } from './server.ts'

export interface Closed {
  code: number
  reason: string
}

/** A received message: text as string, binary as Buffer. */
export type Data = string | Buffer

/**
 * A ws client whose waits fail instead of hanging: `next()` rejects when the socket closes, and
 * after 20 s.
 */
export class Client {
  readonly socket: WebSocket
  /**
   * Resolves with the close code and reason. The code is 1006 when TCP ended without a close frame.
   */
  readonly closed: Promise<Closed>
  readonly received: Data[] = []
  #taken = 0
  #wake: (() => void) | undefined
  #closed: Closed | undefined

  constructor (socket: WebSocket) {
    this.socket = socket
    socket.on('message', (data: Buffer, binary: boolean) => {
      this.received.push(binary ? data : data.toString())
      this.#wake?.()
    })
    socket.on('error', () => {})
    this.closed = new Promise((resolve) => socket.on('close', (code, reason) => {
      this.#closed = { code, reason: reason.toString() }
      this.#wake?.()
      resolve(this.#closed)
    }))
  }

  /** The next message that was not taken yet. */
  async next (timeoutMs = 20_000): Promise<Data> {
    const deadline = performance.now() + timeoutMs
    while (this.received.length === this.#taken) {
      if (this.#closed !== undefined) {
        throw new Error(
          `closed ${this.#closed.code} ${this.#closed.reason} while waiting for a frame`
        )
      }
      const left = deadline - performance.now()
      if (left <= 0) throw new Error(`no frame within ${timeoutMs} ms`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#wake = () => { clearTimeout(timer); resolve() }
      })
    }
    return this.received[this.#taken++] as Data
  }

  async nextJson<T = unknown> (timeoutMs?: number): Promise<T> {
    return JSON.parse(String(await this.next(timeoutMs))) as T
  }

  send (data: unknown): void {
    this.socket.send(
      typeof data === 'string' || data instanceof Uint8Array ? data : JSON.stringify(data)
    )
  }

  close (code?: number, reason?: string): void {
    this.socket.close(code, reason)
  }
}

/**
 * Opens a connection and waits for the 101. Rejects with the status when the upgrade is refused.
 */
export async function connect (
  t: Teardown,
  url: string,
  options: ClientOptions & { protocols?: string[] } = {}
): Promise<Client & { response: IncomingMessage }> {
  const { protocols = [], ...rest } = options
  const socket = new WebSocket(url, protocols, rest)
  t.teardown(() => socket.terminate())
  const client = new Client(socket)
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    let upgrade: IncomingMessage
    socket.on('upgrade', (message) => { upgrade = message })
    socket.on('open', () => resolve(upgrade))
    socket.on('error', reject)
  })
  return Object.assign(client, { response })
}

/** The answer of the server to one message on a new connection. */
export async function ask (
  t: Teardown,
  url: string,
  message: unknown,
  options: ClientOptions = {}
): Promise<Data> {
  const client = await connect(t, url, options)
  client.send(message)
  return client.next()
}

export interface Refusal {
  status: number
  headers: IncomingMessage['headers']
  body: string
  json: () => { statusCode: number, code?: string, error?: string, message: string }
}

/**
 * Sends an upgrade request that the server must refuse. Resolves with the answer when the server
 * has closed TCP. Rejects when the upgrade is accepted.
 */
export async function refused (
  url: string,
  options: ClientOptions & { protocols?: string[] } = {}
): Promise<Refusal> {
  const { protocols = [], ...rest } = options
  const socket = new WebSocket(url, protocols, rest)
  return new Promise((resolve, reject) => {
    socket.on('open', () => { socket.terminate(); reject(new Error('upgraded')) })
    socket.on('error', reject)
    socket.on('unexpected-response', (_request, response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.socket.on('close', () => {
        const body = Buffer.concat(chunks).toString()
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body,
          json: () => JSON.parse(body) as ReturnType<Refusal['json']>
        })
      })
    })
  })
}
