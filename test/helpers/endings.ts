import { EventEmitter, once } from 'node:events'
import type { TerminateReason, WebsocketOptions } from '../../src/index.ts'
import { connectRaw, handshake, type RawClient } from './raw.ts'
import { startServer, type Teardown, type TestServer } from './server.ts'
import type { Ws } from './scripted-callbacks.ts'

export interface End {
  readonly reason: TerminateReason
  readonly state: unknown
  readonly bufferedBytes: number
  readonly aborted: boolean
}

/** Callbacks without types, because tests make them return invalid results. */
export interface Loose {
  init?: (ws: Ws) => unknown
  handleIn?: (data: string, ws: Ws, state: unknown) => unknown
  handleControl?: (ws: Ws) => unknown
  handleInfo?: (info: unknown, ws: Ws) => unknown
  terminate?: (ws: Ws) => unknown
}

export interface Endings extends TestServer {
  /** The calls of all callbacks except `terminate`, with their arguments. */
  readonly calls: string[]
  /** The calls of `terminate`. */
  readonly ends: End[]
  /** Waits until the list has this length. Rejects after 20 s. */
  readonly until: (list: 'calls' | 'ends', length?: number) => Promise<void>
  /** Opens a raw client, and waits for its 101. */
  readonly open: (t: Teardown, options?: { allowHalfOpen?: boolean }) => Promise<RawClient>
}

/**
 * Starts a server with one route that records the calls of its callbacks. The time limits are
 * short: 150 ms to close, 100 ms to terminate.
 */
export async function startEndings (
  t: Teardown,
  loose: Loose = {},
  options: WebsocketOptions = {}
): Promise<Endings> {
  const calls: string[] = []
  const ends: End[] = []
  const events = new EventEmitter()
  const call = <T>(name: string, run: () => T): never => {
    calls.push(name)
    events.emit('calls')
    return run() as never
  }
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketOptions: { closeTimeoutMs: 150, terminateTimeoutMs: 100, ...options },
      websocketHandler: {
        init: (_args, ws) => call('init', () => loose.init?.(ws as never)),
        handleIn: ({ data }, state, ws) =>
          call(`in ${String(data)}`, () => loose.handleIn?.(String(data), ws as never, state)),
        handleControl: (_frame, _state, ws) =>
          call('control', () => loose.handleControl?.(ws as never)),
        handleInfo: (info, _state, ws) =>
          call(`info ${String(info)}`, () => loose.handleInfo?.(info, ws as never)),
        terminate (reason, state, ws) {
          ends.push({ reason, state, bufferedBytes: ws.bufferedBytes, aborted: ws.signal.aborted })
          events.emit('ends')
          return loose.terminate?.(ws as never) as never
        }
      }
    })
  })
  return {
    ...server,
    calls,
    ends,
    async until (list, length = 1) {
      const signal = AbortSignal.timeout(20_000)
      while ((list === 'calls' ? calls : ends).length < length) await once(events, list, { signal })
    },
    async open (t, options) {
      const raw = await connectRaw(t, server.port, options)
      raw.write(handshake('/'))
      return raw.until(() => raw.status === 101 && raw.text.includes('\r\n\r\n'))
    }
  }
}
