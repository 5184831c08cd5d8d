import type { ClientContract, ClientSide, Incoming, Outgoing } from '../client/types.ts'
import type { NoStateFromInitAbove } from '../connection/handler.ts'
import type { ContractOf, WebsocketRoute } from '../plugin/types.ts'
import type { Codec } from '../wire/codec.ts'
import type { FastifySchema, FastifyTypeProvider } from 'fastify'

/** The contract of a route of `defineWebsocketRoute`, or the contract itself. */
type Contract<R> = [ContractOf<R>] extends [never]
  ? R extends ClientContract ? R : ClientSide
  : ContractOf<R> extends ClientContract ? ContractOf<R> : ClientSide

/** The messages that the client of a route or of a contract receives. */
export type Received<R> = Incoming<Contract<R>>
/** The messages that the client may send. */
export type Sent<R> = Outgoing<Contract<R>>

export type InfoOf<R> = ContractOf<R> extends { readonly Info: infer I } ? I : unknown

/* eslint-disable @typescript-eslint/no-unused-vars -- "infer" needs a name */
export type StateOf<R> =
  R extends WebsocketRoute<
    infer _TP extends FastifyTypeProvider,
    infer _S extends FastifySchema,
    infer State
  >
    ? [State, NoStateFromInitAbove] extends [NoStateFromInitAbove, State]
        ? undefined
        : State
    : unknown
/* eslint-enable @typescript-eslint/no-unused-vars */

/** The options that `connect` and `drive` share. */
export interface ExpectOptions<F extends string> {
  /** The field that `next` selects messages by. Default: `event`. */
  readonly field?: F
  /**
   * The codec of the route. Default: JSON over text frames. `raw` is for a route without a `send`
   * schema: a text message is a string, a binary message a Buffer.
   */
  readonly codec?: Codec | 'raw'
  /**
   * The time limit of each wait, in ms. Default: 3 000, less than the limit of most test runners.
   */
  readonly timeoutMs?: number
}

/** An answer to the upgrade that is not the 101. */
export interface Refusal {
  readonly statusCode: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
  /** Parses the body. */
  readonly json: () => unknown
}

/**
 * The client's close code and reason. 1005: the close frame had no code. 1006: there was no close
 * frame.
 */
export interface ClosedWith {
  readonly code: number
  readonly reason: string
}
