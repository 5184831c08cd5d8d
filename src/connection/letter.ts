import type { ControlFrame, OutgoingFrame } from '../wire/frame.ts'
import type { GuardedMessage, RouteContext } from './route-context.ts'
import type { CallbackMeter } from '../telemetry/callback-meter.ts'
import type { RouteTelemetry } from '../telemetry/route-telemetry.ts'
import { warnOnce } from './log.ts'
import type { InitArgs } from './handler.ts'
import type { AnyContext, InitContext } from './handler-context.ts'
import type { Letter } from './mailbox.ts'
import type { Result } from './result.ts'
import type { SystemLetter } from './system-message.ts'
import type { Tick } from './timers.ts'

/** What a connection's mailbox holds: a frame that has come, or something from inside. */
export type ConnectionLetter = Letter & (
  | { readonly type: 'init', readonly bytes: 0, readonly args: InitArgs<unknown, unknown, unknown> }
  | { readonly type: 'message', readonly bytes: number, readonly data: string | Buffer }
  | { readonly type: 'control', readonly bytes: number, readonly frame: ControlFrame }
  | { readonly type: 'info', readonly info: unknown }
  | GuardedMessage
  | Tick
  | SystemLetter
)

/** The callback that each is for. */
export const CALLBACK_NAMES = {
  init: 'init',
  message: 'handleIn',
  guarded: 'handleIn',
  control: 'handleControl',
  info: 'handleInfo',
  tick: 'handleInfo',
  drain: 'handleDrain',
  gap: 'handleGap',
  presence: 'handlePresence'
} as const

export function createMessage (
  { receiveGuarded }: RouteContext, data: string | Buffer, bytes: number
): ConnectionLetter {
  return receiveGuarded === undefined
    ? { type: 'message', bytes, data }
    : { type: 'guarded', bytes, data, step: 'read', message: undefined }
}

/** The callback that is called next for it. */
export function nextCallbackOf (
  letter: ConnectionLetter
): (typeof CALLBACK_NAMES)[ConnectionLetter['type']] | 'guard' {
  return letter.type === 'guarded' && letter.step !== 'callback'
    ? 'guard'
    : CALLBACK_NAMES[letter.type]
}

/** The meter of that callback. Properties with constant names are read faster than others. */
export function nextMeterOf (
  letter: ConnectionLetter, meters: RouteTelemetry['callbacks']
): CallbackMeter {
  return letter.type === 'message' ? meters.handleIn : meters[nextCallbackOf(letter)]
}

/** The callback that runs, for the log. */
export function callbackOf (letter: ConnectionLetter): string {
  return letter.type === 'guarded' && letter.step === 'guard'
    ? 'guard'
    : CALLBACK_NAMES[letter.type]
}

/**
 * True when the guard of this message has run and let it pass: its callback is next. `ended`: by
 * this side, meanwhile.
 */
export function passGuard (
  letter: GuardedMessage, result: Result<unknown> | undefined, ended: boolean
): boolean {
  const passes = result === undefined || result.type === 'ok'
  if (!passes || ended || letter.step !== 'guard') return false
  letter.step = 'callback'
  return true
}

/**
 * The peer sent it, or its handshake: so it is handled also when the peer has ended the connection.
 */
export function isFromPeer ({ type }: ConnectionLetter): boolean {
  return type === 'init' || type === 'message' || type === 'guarded' || type === 'control'
}

/** Calls it, and gives what it returns. */
export function callHandler (
  letter: ConnectionLetter, route: RouteContext, state: unknown, context: AnyContext
): unknown {
  const { handler, receive, receiveGuarded } = route
  switch (letter.type) {
    case 'message':
      return receive(letter.data, state, context)
    case 'guarded':
      return receiveGuarded?.(letter, state, context)
    case 'info':
      return callHandleInfo(letter.info, route, state, context)
    case 'tick':
      letter.waiting = false
      return callHandleInfo(letter.info, route, state, context)
    case 'drain':
    case 'gap':
    case 'presence':
      return handler[CALLBACK_NAMES[letter.type]]?.(letter.info as never, state, context)
    case 'control':
      return handler.handleControl?.(letter.frame, state, context)
    case 'init':
      return handler.init?.(letter.args, context as unknown as InitContext<unknown, unknown>)
  }
}

function callHandleInfo (
  info: unknown,
  route: RouteContext,
  state: unknown,
  context: AnyContext
): unknown {
  const { handler } = route
  if (handler.handleInfo !== undefined) return handler.handleInfo(info, state, context)
  warnOnce(route, () => context.log, 'info')
}

/**
 * A message is a view into what was read, 64 KiB at most: a small one that waits would keep all of
 * that.
 */
export function copyOfSmall (data: Buffer): Buffer {
  if (data.length * 2 >= data.buffer.byteLength) return data
  const copy = Buffer.allocUnsafeSlow(data.length)
  data.copy(copy)
  return copy
}

/** Encodes the messages of a result; undefined when it has none. */
export function encodeResult (
  result: Result<unknown>,
  encode: RouteContext['encode']
): OutgoingFrame | OutgoingFrame[] | undefined {
  if (result.type === 'ok') return undefined
  if (result.type === 'stop' && result.messages === undefined) return undefined
  return encodeMessages(result.messages, encode)
}

/** Encodes one message, or a list. Throws before anything is sent when one of them cannot be. */
export function encodeMessages (
  messages: unknown,
  encode: RouteContext['encode']
): OutgoingFrame | OutgoingFrame[] {
  if (!Array.isArray(messages)) return encode(messages)
  // Not map, which passes over holes: they would be found when half of the list is sent.
  return Array.from(messages, (message: unknown) => encode(message))
}
