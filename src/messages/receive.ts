import type { AnyHandler, InvalidMessage } from '../connection/handler.ts'
import type { GuardedMessage } from '../connection/route-context.ts'
import { stop } from '../connection/result.ts'
import { FST_WEBSOCK_INVALID_MESSAGE } from '../errors.ts'
import { closeCodes } from '../wire/close-codes.ts'
import type { Codec } from '../wire/codec.ts'
import type { RawMessage } from '../wire/frame.ts'
import { Mismatch, refusePromise, type Check } from './check.ts'
import { readDiscriminant } from './union.ts'

type AnyCallback = NonNullable<AnyHandler['handleIn']>
type AnyContext = Parameters<AnyCallback>[2]
export type Receive = (data: string | Buffer, state: unknown, ws: AnyContext) => unknown
export type ReceiveGuarded = (letter: GuardedMessage, state: unknown, ws: AnyContext) => unknown

export interface ReceiveOptions {
  readonly handler: AnyHandler
  readonly codec: Codec
  /** Undefined without a `receive` schema: messages are passed on unchanged. */
  readonly check: Check | undefined
  /** Called for a dropped message: `on` has no callback for it, and there is no `handleIn`. */
  readonly unhandled: (ws: AnyContext) => void
  /** Called for an invalid message. */
  readonly refused: (kind: InvalidMessage['kind'], ws: AnyContext) => void
}

/**
 * Builds the function for one data message: decode, check, dispatch. It returns what the callback
 * returns and throws what the callback throws.
 */
export function buildReceive (options: ReceiveOptions): Receive {
  const { handler, codec, check, unhandled } = options
  const dispatch = buildDispatch(handler, unhandled)
  if (check === undefined) return (data, state, ws) => dispatch(toRawMessage(data), state, ws)
  return (data, state, ws) => {
    const message = read(data, codec, check)
    return message instanceof Invalid
      ? refuse(message, options, state, ws)
      : dispatch(message, state, ws)
  }
}

/**
 * Builds the same for a route with a `guard`; undefined for other routes. The function is called
 * once for the guard of a message, and again for its callback when the guard lets it pass.
 */
export function buildReceiveGuarded (options: ReceiveOptions): ReceiveGuarded | undefined {
  const { handler, codec, check, unhandled } = options
  if (handler.guard === undefined) return undefined
  const dispatch = buildDispatch(handler, unhandled)
  return (letter, state, ws) => {
    if (letter.step === 'callback') return dispatch(letter.message, state, ws)
    const message =
      check === undefined ? toRawMessage(letter.data) : read(letter.data, codec, check)
    if (message instanceof Invalid) return refuse(message, options, state, ws)
    letter.message = message
    letter.step = 'guard'
    return handler.guard?.(message as never, state, ws)
  }
}

/**
 * The problem that `handleInvalid` receives. A client may cause many, so the error and its stack
 * trace are created on first access.
 */
class Invalid implements InvalidMessage {
  readonly kind: InvalidMessage['kind']
  readonly code: InvalidMessage['code']
  readonly frame: RawMessage
  readonly message: unknown
  readonly #text: string
  readonly #cause: unknown
  #error: Error | undefined

  constructor (
    kind: InvalidMessage['kind'],
    text: string,
    data: string | Buffer,
    cause?: unknown,
    message?: unknown
  ) {
    this.kind = kind
    this.code = kind === 'mismatch' ? closeCodes.policyViolation : closeCodes.invalidPayload
    this.frame = toRawMessage(data)
    this.message = message
    this.#text = text
    this.#cause = cause
  }

  get error (): Error {
    const cause = this.#cause
    return (this.#error ??= Object.assign(
      new FST_WEBSOCK_INVALID_MESSAGE(this.#text),
      cause === undefined ? {} : { cause }
    ))
  }
}

function read (data: string | Buffer, codec: Codec, check: Check): unknown {
  const opcode = opcodeOf(data)
  if (opcode !== codec.opcode) {
    return new Invalid('opcode', `a ${opcode} message, but this route takes ${codec.opcode} ` +
      'messages', data)
  }
  let decoded: unknown
  try {
    // The opcode was checked above; wire/codec.ts pairs it with the type of the data.
    decoded = codec.decode(data as never)
  } catch (error) {
    return new Invalid('undecodable', 'a message that cannot be decoded', data, error)
  }
  refusePromise(decoded, '`decode` of the codec')
  const message = check(decoded)
  if (!(message instanceof Mismatch)) return message
  const text = `a message that does not match: ${message.message}`
  return new Invalid('mismatch', text, data, message.cause, decoded)
}

function refuse (
  problem: Invalid,
  { handler, refused }: ReceiveOptions,
  state: unknown,
  ws: AnyContext
): unknown {
  refused(problem.kind, ws)
  if (handler.handleInvalid !== undefined) return handler.handleInvalid(problem, state, ws)
  return stop(problem.error, [
    problem.code,
    problem.kind === 'mismatch' ? 'message does not match' : 'message cannot be decoded'
  ])
}

function buildDispatch (
  handler: AnyHandler,
  unhandled: ReceiveOptions['unhandled']
): (message: unknown, state: unknown, ws: AnyContext) => unknown {
  if (handler.on === undefined) {
    return (message, state, ws) => handler.handleIn?.(message as never, state, ws)
  }
  const maps = Object.entries(handler.on).map(
    ([field, callbacks]) =>
      [
        field,
        callbacks,
        new Map(Object.entries((callbacks ?? {}) as Record<string, AnyCallback>))
      ] as const
  )
  return (message, state, ws) => {
    for (const [field, self, callbacks] of maps) {
      const callback = callbacks.get(readDiscriminant(message, field) ?? '')
      if (callback !== undefined) return callback.call(self, message as never, state, ws)
    }
    if (handler.handleIn !== undefined) return handler.handleIn(message as never, state, ws)
    if (maps.length > 0) unhandled(ws)
  }
}

function opcodeOf (data: string | Buffer): RawMessage['opcode'] {
  return typeof data === 'string' ? 'text' : 'binary'
}

function toRawMessage (data: string | Buffer): RawMessage {
  return typeof data === 'string' ? { opcode: 'text', data } : { opcode: 'binary', data }
}
