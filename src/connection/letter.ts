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

/** The letters in a connection's mailbox: received frames, and infos and events of this process. */
export type ConnectionLetter = Letter & (
  | { readonly type: 'init', readonly bytes: 0, readonly args: InitArgs<unknown, unknown, unknown> }
  | { readonly type: 'message', readonly bytes: number, readonly data: string | Buffer }
  | { readonly type: 'control', readonly bytes: number, readonly frame: ControlFrame }
  | { readonly type: 'info', readonly info: unknown }
  | GuardedMessage
  | Tick
  | SystemLetter
)

/** The callback for each type of letter. */
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

/** Returns the name of the callback that is called next for a letter. */
export function nextCallbackOf (
  letter: ConnectionLetter
): (typeof CALLBACK_NAMES)[ConnectionLetter['type']] | 'guard' {
  return letter.type === 'guarded' && letter.step !== 'callback'
    ? 'guard'
    : CALLBACK_NAMES[letter.type]
}

/** Returns the meter of that callback. Properties with constant names are faster to read. */
export function nextMeterOf (
  letter: ConnectionLetter, meters: RouteTelemetry['callbacks']
): CallbackMeter {
  return letter.type === 'message' ? meters.handleIn : meters[nextCallbackOf(letter)]
}

/** Returns the name of the running callback, for the log. */
export function callbackOf (letter: ConnectionLetter): string {
  return letter.type === 'guarded' && letter.step === 'guard'
    ? 'guard'
    : CALLBACK_NAMES[letter.type]
}

/**
 * Returns true when the guard has let this message pass: its callback is next. `ended`: this side
 * has ended the connection meanwhile.
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
 * True for letters that the peer or its handshake caused. They are handled even after the peer has
 * ended the connection.
 */
export function isFromPeer ({ type }: ConnectionLetter): boolean {
  return type === 'init' || type === 'message' || type === 'guarded' || type === 'control'
}

/** True for the letter that a connection still handles when the server closes. */
export function isDrain ({ type }: ConnectionLetter): boolean { return type === 'drain' }

/** Calls the callback for a letter, and returns its result. */
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
 * Copies a small message. A message is a view into a chunk of up to 64 KiB, which a waiting message
 * would keep.
 */
export function copyOfSmall (data: Buffer): Buffer {
  if (data.length * 2 >= data.buffer.byteLength) return data
  const copy = Buffer.allocUnsafeSlow(data.length)
  data.copy(copy)
  return copy
}

/** Encodes the messages of a result. Undefined when it has none. */
export function encodeResult (
  result: Result<unknown>,
  encode: RouteContext['encode']
): OutgoingFrame | OutgoingFrame[] | undefined {
  if (result.type === 'ok') return undefined
  if (result.type === 'stop' && result.messages === undefined) return undefined
  return encodeMessages(result.messages, encode)
}

/**
 * Encodes one message, or a list. Throws when one of them cannot be encoded; nothing has been sent
 * then.
 */
export function encodeMessages (
  messages: unknown,
  encode: RouteContext['encode']
): OutgoingFrame | OutgoingFrame[] {
  if (!Array.isArray(messages)) return encode(messages)
  // Not `map`, which skips holes: they would be found only after half of the list has been sent.
  return Array.from(messages, (message: unknown) => encode(message))
}
