import { EventEmitter, once } from 'node:events'
import { Type } from '@fastify/type-provider-typebox'
import type { TerminateReason, WebsocketContext } from '../../src/index.ts'
import { connectRaw, frame, handshake, text, type RawClient } from './raw.ts'
import { startServer, type ServerOptions, type Teardown, type TestServer } from './server.ts'

export const CALLBACKS = [
  'init',
  'handleIn',
  'on.event.say',
  'handleInvalid',
  'handleControl',
  'handleInfo'
] as const
export type CallbackName = typeof CALLBACKS[number]

export interface Said { n: number, any?: unknown }
export type Ws = WebsocketContext<Said, string, unknown>

/** What a callback under trial does. What it returns is the callback's result. */
export type Act = (ws: Ws, state: unknown) => unknown

/** One connection whose callback of that name does what the test wants; all others do nothing. */
export interface Trial {
  readonly callback: CallbackName
  readonly act: Act
  ws: Ws | undefined
  /** Each call of a callback, in order. */
  readonly calls: string[]
  readonly terminated: Array<{ reason: TerminateReason, state: unknown }>
  /** Emits `called` and `terminated`, each after what it tells has been noted above. */
  readonly events: EventEmitter
}

export interface Trials extends TestServer {
  /** Opens a connection and sends what its callback under trial waits for. */
  open: (t: Teardown, callback: CallbackName, act: Act) => Promise<{ raw: RawClient, trial: Trial }>
}

const Event = <V extends string>(value: V) => Type.Object({ event: Type.Literal(value) })

/** What a client sends so that this callback is called, once the connection is open. */
const TRIGGERS: Readonly<Record<CallbackName, Buffer>> = {
  init: Buffer.alloc(0),
  handleIn: text('{"event":"other"}'),
  'on.event.say': text('{"event":"say"}'),
  handleInvalid: text('no json'),
  handleControl: frame(9, 'p'),
  handleInfo: text('{"event":"tell"}')
}

/** Asks for the state; the answer is {@link stateAnswer}. */
export const askState = text('{"event":"state"}')
export const stateAnswer = (state: unknown): string =>
  `text ${JSON.stringify({ n: 0, any: state ?? null })}`

/**
 * A server with one route, each of whose connections is a trial. The state is 'first' unless `init`
 * is under trial. Its clients are raw and answer no close frame, so they are cut soon.
 */
export async function startTrials (t: Teardown, options: ServerOptions = {}): Promise<Trials> {
  const trials: Trial[] = []
  const byId = new Map<string, Trial>()
  const run = (name: CallbackName, state: unknown, ws: Ws): never => {
    const trial = byId.get(ws.id) as Trial
    trial.calls.push(name)
    trial.events.emit('called')
    return (trial.callback === name ? trial.act(ws, state) : undefined) as never
  }
  const server = await startServer(t, (app) => {
    app.get('/trial/:n', {
      schema: {
        params: Type.Object({ n: Type.Integer() }),
        websocket: {
          receive: Type.Union([Event('other'), Event('say'), Event('tell'), Event('state')]),
          send: Type.Object({ n: Type.Integer(), any: Type.Optional(Type.Any()) }),
          info: Type.String()
        }
      },
      websocketHandler: {
        init ({ params }, initial) {
          const ws = initial as unknown as Ws
          const trial = trials[params.n] as Trial
          byId.set(ws.id, trial)
          trial.ws = ws
          return trial.callback === 'init'
            ? run('init', undefined, ws)
            : initial.ok<unknown>('first')
        },
        on: {
          event: {
            say: (_message, state, ws) => run('on.event.say', state, ws),
            tell (_message, _state, ws) {
              ws.post('told')
            },
            state: (_message, state, ws) => ws.push({ n: 0, any: state ?? null })
          }
        },
        handleIn: (_message, state, ws) => run('handleIn', state, ws),
        handleInvalid: (_problem, state, ws) => run('handleInvalid', state, ws),
        handleControl: (_frame, state, ws) => run('handleControl', state, ws),
        handleInfo: (_info, state, ws) => run('handleInfo', state, ws),
        terminate (reason, state, ws) {
          const trial = byId.get(ws.id) as Trial
          trial.terminated.push({ reason, state })
          trial.events.emit('terminated')
        }
      }
    })
  }, { ...options, websock: { closeTimeoutMs: 100, ...options.websock } })
  return {
    ...server,
    async open (t, callback, act) {
      const trial: Trial = {
        callback,
        act,
        ws: undefined,
        calls: [],
        terminated: [],
        events: new EventEmitter()
      }
      const raw = await connectRaw(t, server.port)
      raw.write(handshake(`/trial/${trials.push(trial) - 1}`)).write(TRIGGERS[callback])
      return { raw, trial }
    }
  }
}

const OPCODES: Readonly<Record<number, string>> = { 1: 'text', 2: 'binary', 9: 'ping', 10: 'pong' }

/**
 * The server's frames as they stood on the wire, in words: `text hello`, `close 1000 bye`, `close`.
 * Pongs are left out.
 */
export function wire (raw: RawClient): string[] {
  return raw.frames().filter(({ opcode }) => opcode !== 10).map(({ opcode, payload }) => {
    if (opcode !== 8) return `${OPCODES[opcode] ?? opcode} ${payload.toString()}`
    return payload.length === 0
      ? 'close'
      : `close ${payload.readUInt16BE(0)} ${payload.toString('utf8', 2)}`
  })
}

/** The same, as soon as the close frame is there. */
export async function wireUntilClose (raw: RawClient): Promise<string[]> {
  await raw.until(() => raw.frames().some(({ opcode }) => opcode === 8))
  return wire(raw)
}

/** Waits until there are so many entries in one of a trial's lists. Rejects after 5 s. */
export async function until (trial: Trial, list: 'calls' | 'terminated', length = 1): Promise<void> {
  const signal = AbortSignal.timeout(5000)
  while (trial[list].length < length) {
    await once(trial.events, list === 'calls' ? 'called' : 'terminated', { signal })
  }
}

/** The value, a turn of the event loop later; what is thrown instead becomes a rejection. */
export function later<T> (value: () => T): Promise<T> {
  return new Promise((resolve, reject) => setImmediate(() => {
    try { resolve(value()) } catch (error) { reject(error) }
  }))
}
