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

/** The body of a callback under test. Its return value is the callback's result. */
export type Act = (ws: Ws, state: unknown) => unknown

/** One connection. Its callback with this name runs `act`, the other callbacks do nothing. */
export interface Trial {
  readonly callback: CallbackName
  readonly act: Act
  ws: Ws | undefined
  /** The names of the called callbacks, in order. */
  readonly calls: string[]
  readonly terminated: Array<{ reason: TerminateReason, state: unknown }>
  /** Emits `called` and `terminated`, each after `calls` or `terminated` has the new entry. */
  readonly events: EventEmitter
}

export interface Trials extends TestServer {
  /** Opens a connection and sends the frame that triggers its callback under test. */
  open: (t: Teardown, callback: CallbackName, act: Act) => Promise<{ raw: RawClient, trial: Trial }>
}

const Event = <V extends string>(value: V) => Type.Object({ event: Type.Literal(value) })

/** The frame that triggers each callback on an open connection. */
const TRIGGERS: Readonly<Record<CallbackName, Buffer>> = {
  init: Buffer.alloc(0),
  handleIn: text('{"event":"other"}'),
  'on.event.say': text('{"event":"say"}'),
  handleInvalid: text('no json'),
  handleControl: frame(9, 'p'),
  handleInfo: text('{"event":"tell"}')
}

/** The message that asks for the state. The answer is {@link stateAnswer}. */
export const askState = text('{"event":"state"}')
export const stateAnswer = (state: unknown): string =>
  `text ${JSON.stringify({ n: 0, any: state ?? null })}`

/**
 * Starts a server with one route. Each of its connections is a trial. The state is 'first' unless
 * `init` is under test. The clients are raw and answer no close frame, so `closeTimeoutMs` is
 * short.
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
              ws.post('posted')
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
 * Describes the frames of the server: `text hello`, `close 1000 bye`, `close`. Pongs are left out.
 */
export function wire (raw: RawClient): string[] {
  return raw.frames().filter(({ opcode }) => opcode !== 10).map(({ opcode, payload }) => {
    if (opcode !== 8) return `${OPCODES[opcode] ?? opcode} ${payload.toString()}`
    return payload.length === 0
      ? 'close'
      : `close ${payload.readUInt16BE(0)} ${payload.toString('utf8', 2)}`
  })
}

/** Waits for the close frame, then describes the frames like `wire`. */
export async function wireUntilClose (raw: RawClient): Promise<string[]> {
  await raw.until(() => raw.frames().some(({ opcode }) => opcode === 8))
  return wire(raw)
}

/** Waits until a list of the trial has this length. Rejects after 20 s. */
export async function until (
  trial: Trial,
  list: 'calls' | 'terminated',
  length = 1
): Promise<void> {
  const signal = AbortSignal.timeout(20_000)
  while (trial[list].length < length) {
    await once(trial.events, list === 'calls' ? 'called' : 'terminated', { signal })
  }
}

/** Resolves with the value a turn of the event loop later. Rejects when `value` throws. */
export function later<T> (value: () => T): Promise<T> {
  return new Promise((resolve, reject) => setImmediate(() => {
    try { resolve(value()) } catch (error) { reject(error) }
  }))
}
