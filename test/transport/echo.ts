import { Duplex } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import type { TerminateReason, WebsocketOptions } from '../../src/index.ts'
import { connectRaw, handshake, type RawClient } from '../helpers/raw.ts'
import { startServer, type Teardown, type TestServer } from '../helpers/server.ts'

interface Message { opcode: string, data: string | Uint8Array }

/** Callbacks without their types. */
interface Handler {
  init?: (args: any, ws: any) => unknown
  handleIn?: (message: Message, state: unknown, ws: any) => unknown
  handleControl?: (frame: Message, state: unknown, ws: any) => unknown
  handleInfo?: (info: unknown, state: unknown, ws: any) => unknown
  terminate?: (reason: TerminateReason, state: unknown) => unknown
}

/** The values of the option `compress`. */
export const KINDS = [false, true]
export const named = (compress: boolean): string =>
  compress ? 'with permessage-deflate' : 'without an extension'

/** An echo server with one route. With `compress`, clients agree on permessage-deflate. */
export async function startEcho (
  t: Teardown,
  handler: Handler = {},
  options: WebsocketOptions = {}
): Promise<TestServer & { open: (options?: { allowHalfOpen?: boolean }) => Promise<RawClient> }> {
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketOptions: { closeTimeoutMs: 60_000, ...options },
      websocketHandler: {
        handleIn: (message: Message, _state: unknown, ws: any) => ws.push(message),
        ...handler
      } as never
    })
  })
  return {
    ...server,
    async open (socketOptions) {
      const raw = await connectRaw(t, server.port, socketOptions)
      raw.write(
        handshake('/', options.compress ? { 'Sec-WebSocket-Extensions': 'permessage-deflate' } : {})
      )
      return raw.until(({ text }) => text.includes('\r\n\r\n'))
    }
  }
}

export const turns = async (): Promise<void> => { for (let i = 0; i < 20; i++) await turn() }

const OPCODES: Readonly<Record<number, string>> = { 1: 'text', 2: 'binary', 9: 'ping', 10: 'pong' }

/** The frames as text. Pongs too, unlike `wire` of the helpers. */
export const wire = (raw: RawClient): string[] =>
  raw.frames()
    .map(({ opcode, payload }) =>
      opcode === 8
        ? `close ${payload.length < 2 ? '' : payload.readUInt16BE()}`
        : `${OPCODES[opcode] ?? ''} ${payload.toString()}`
    )

/** One end of a connection within the process: a write is delivered at once, in the same call. */
export class Side extends Duplex {
  #other!: Side

  static pair (): [Side, Side] {
    const [a, b] = [new Side(), new Side()]
    a.#other = b
    b.#other = a
    return [a, b]
  }

  override _read (): void {}

  override _write (chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#other.push(chunk)
    done()
  }

  override _final (done: () => void): void {
    this.#other.push(null)
    done()
  }

  override _destroy (error: Error | null, done: (error: Error | null) => void): void {
    done(error)
    if (!this.#other.destroyed) this.#other.destroy()
  }
}
