import { createServer as createHttpServer, type IncomingMessage } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { PingFrame } from '../../src/wire/frame.ts'
import { WebSocketServer, type WebSocket } from 'ws'
import { answer, answerControl, type Answering, type Life } from './differential.ts'
import type { Teardown } from './server.ts'

interface Target {
  readonly life: Life
  readonly maxPayload: number
}

/** Starts a ws server that answers with {@link answer}. Returns its port. */
export async function startReference (
  t: Teardown,
  tls: object | undefined,
  find: (request: IncomingMessage) => Target,
  closeTimeoutMs: number
): Promise<number> {
  const server = tls === undefined ? createHttpServer() : createHttpsServer(tls)
  const servers = new Map<number, WebSocketServer>()
  server.on('upgrade', (request, socket, head) => {
    const { life, maxPayload } = find(request)
    const own =
      servers.get(maxPayload) ??
      new WebSocketServer({
        noServer: true,
        maxPayload,
        perMessageDeflate: false,
        ...{ closeTimeout: closeTimeoutMs, maxPendingAutoPongs: 1024 }
      })
    servers.set(maxPayload, own)
    own.handleUpgrade(request, socket, head, (websocket) => {
      life.socket = request.socket
      life.socket.on('data', (chunk: Buffer) => { life.read += chunk.length })
      new Reference(websocket, life).listen()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

type Work = () => unknown

/** The close codes of ws's errors (doc/ws.md). All other errors have 1002. */
const ERROR_CODES: Readonly<Record<string, number>> = {
  WS_ERR_INVALID_UTF8: 1007,
  WS_ERR_UNSUPPORTED_MESSAGE_LENGTH: 1009,
  WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH: 1009,
  WS_ERR_TOO_MANY_BUFFERED_PARTS: 1008
}

/**
 * One connection of the ws server. It handles messages in order, one at a time, and records the
 * results.
 */
class Reference implements Answering {
  readonly #websocket: WebSocket
  readonly #life: Life
  #waiting: Work[] = []
  #busy = false
  #end: string | undefined

  constructor (websocket: WebSocket, life: Life) {
    this.#websocket = websocket
    this.#life = life
  }

  listen (): void {
    const { seen, ended } = this.#life
    const record = (kind: string, data: Buffer, work: Work): void => this.#do(() => {
      seen.push(`${kind} ${data.toString('latin1')}`)
      return work()
    })
    this.#websocket.on('message', (data: Buffer, binary) => {
      const message = binary ? data : data.toString()
      record(binary ? 'binary' : 'text', data, () => answer(message, this.#life, this))
    })
    this.#websocket.on('ping', (data: Buffer) =>
      record('ping', data, () => answerControl(data, this))
    )
    this.#websocket.on('pong', (data: Buffer) =>
      record('pong', data, () => answerControl(data, this))
    )
    this.#websocket.on('error', (error: Error & { code?: string }) => {
      this.#end ??=
        error.code?.startsWith('WS_ERR_') === true
          ? `error ${ERROR_CODES[error.code] ?? 1002}`
          : undefined
      this.#waiting = []
    })
    this.#websocket.on('close', (code, reason) => {
      ended.push(this.#end ?? `remote ${code} ${reason.toString()}`)
    })
  }

  push (messages: unknown): void {
    for (const message of Array.isArray(messages) ? messages as unknown[] : [messages]) {
      if (this.#websocket.readyState !== this.#websocket.OPEN) return
      if (message instanceof PingFrame) this.#websocket.ping(message.data)
      else this.#websocket.send(message as Buffer)
    }
  }

  stop (_reason: 'normal', code: number, messages: unknown): void {
    this.push(messages)
    this.#close('normal', code)
  }

  post (info: unknown): void {
    setImmediate(() => this.#do(() => this.push(info)))
  }

  pause (): void { this.#websocket.pause() }
  resume (): void { this.#websocket.resume() }

  #close (end: string, code: number): void {
    if (this.#websocket.readyState === this.#websocket.OPEN) this.#end ??= end
    this.#waiting = []
    this.#websocket.close(code)
  }

  #do (work: Work): void {
    if (this.#end !== undefined) return
    if (this.#busy) this.#waiting.push(work)
    else this.#run(work)
  }

  #run (first: Work): void {
    this.#busy = true
    for (let work: Work | undefined = first; work !== undefined; work = this.#waiting.shift()) {
      try {
        const running = work()
        if (running instanceof Promise) {
          void running.then(() => this.#goOn())
          return
        }
      } catch {
        this.#close('error 1011', 1011)
      }
    }
    this.#busy = false
  }

  #goOn (): void {
    this.#busy = false
    const next = this.#waiting.shift()
    if (next !== undefined) this.#run(next)
  }
}
