import { isNativeError } from 'node:util/types'
import { FST_WEBSOCK_INVALID_RESULT, FST_WEBSOCK_UNSENDABLE } from '../errors.ts'
import { textOf } from '../foreign-value.ts'
import { closeCodes, isSendableCode, MAX_REASON_BYTES } from '../wire/close-codes.ts'

export type Awaitable<T> = T | PromiseLike<T>

/**
 * Why a handler stops its connection. The default close codes: 1000 for `normal`, 1012 for
 * `restart`, 1011 for an error.
 */
export type StopReason = 'normal' | 'restart' | Error

/**
 * A close code (1000–1003, 1007–1014, 3000–4999), or a code and a reason of at most 123
 * bytes.
 */
export type CloseDetail = number | readonly [code: number, reason: string]

/**
 * Why a connection ended. `code`: the close code that was sent or received (1005: none in the
 * frame, 1006: no close frame).
 */
export type TerminateReason =
  | { readonly type: 'normal' }
  | { readonly type: 'remote', readonly code: number, readonly reason: string }
  | { readonly type: 'shutdown' }
  | { readonly type: 'timeout' }
  | { readonly type: 'error', readonly error: unknown, readonly code: number }

/** A result: continue, perhaps with a new state. Created by `ws.ok()`. */
export class Ok<out State> {
  readonly type = 'ok'

  constructor (readonly state: State | undefined) {}
}

/** A result: send these messages and continue. Created by `ws.push()`. */
export class Push<out State> {
  readonly type = 'push'

  constructor (readonly messages: unknown, readonly state: State | undefined) {}
}

/** A result: send these messages, then close the connection. Created by `ws.stop()`. */
export class Stop<out State> {
  readonly type = 'stop'

  constructor (
    readonly reason: StopReason,
    readonly detail: CloseDetail | undefined,
    readonly messages: unknown,
    readonly state: State | undefined
  ) {}
}

export type Result<State> = Ok<State> | Push<State> | Stop<State>

/**
 * The return type of all callbacks except `terminate`: a result, or nothing (state unchanged,
 * nothing sent).
 */
export type CallbackResult<State> = Awaitable<Result<State> | void>

export function ok<State> (state?: State): Ok<State> {
  return new Ok(state)
}

export function push<State> (messages: unknown, state?: State): Push<State> {
  return new Push(messages, state)
}

export function stop<State> (
  reason: StopReason = 'normal',
  detail?: CloseDetail,
  messages?: unknown,
  state?: State
): Stop<State> {
  return new Stop(reason, detail, messages, state)
}

/**
 * Checks the return value of a callback. Undefined means that there is nothing to do. Throws
 * FST_WEBSOCK_INVALID_RESULT for a value that is not from `ok`, `push` or `stop`.
 */
export function checkResult (value: unknown): Result<unknown> | undefined {
  if (value === undefined || value instanceof Ok) return value
  if (value instanceof Push || value instanceof Stop) return value
  throw new FST_WEBSOCK_INVALID_RESULT(describe(value))
}

export interface CloseFrame {
  readonly code: number
  readonly reason: string
}

/**
 * Returns the close frame for a stop, and the reason for `terminate`. Throws when the reason or the
 * close frame is invalid.
 */
export function resolveStop (stopped: Stop<unknown>): {
  frame: CloseFrame
  reason: TerminateReason
} {
  const { reason, detail } = stopped
  if (reason !== 'normal' && reason !== 'restart' && !isError(reason)) {
    throw new FST_WEBSOCK_INVALID_RESULT(
      `ws.stop(${describe(reason)}): the reason is 'normal', 'restart' or an Error`
    )
  }
  const frame = detail === undefined ? { code: codeOf(reason), reason: '' } : checkDetail(detail)
  return {
    frame,
    reason: isError(reason)
      ? { type: 'error', error: reason, code: frame.code }
      : { type: 'normal' }
  }
}

/** True also for an error of another realm, such as a vm context or a test runner. */
function isError (value: unknown): value is Error {
  return value instanceof Error || isNativeError(value)
}

function codeOf (reason: StopReason): number {
  switch (reason) {
    case 'normal': return closeCodes.normal
    case 'restart': return closeCodes.serviceRestart
  }
  return closeCodes.internalError
}

/**
 * Checks a close code and reason. Throws FST_WEBSOCK_UNSENDABLE for values that a close frame
 * cannot have.
 */
export function checkDetail (detail: CloseDetail): CloseFrame {
  const [code, reason = '']: readonly unknown[] = Array.isArray(detail) ? detail : [detail]
  if (typeof code !== 'number' || !isSendableCode(code)) {
    throw new FST_WEBSOCK_UNSENDABLE(
      `close code ${describe(code)} is not one of 1000-1003, 1007-1014, 3000-4999`
    )
  }
  if (typeof reason !== 'string' || Buffer.byteLength(reason) > MAX_REASON_BYTES) {
    throw new FST_WEBSOCK_UNSENDABLE(
      `a close reason is a string of at most ${MAX_REASON_BYTES} bytes`
    )
  }
  return { code, reason }
}

function describe (value: unknown): string {
  if (typeof value === 'boolean') return `${value}: do not return what ws.send() or ws.post() gives`
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 60))
  return textOf(() => typeof value === 'object' && value !== null
    ? `an object with ${Object.keys(value).slice(0, 5).join(', ') || 'no keys'}`
    : String(value))
}
