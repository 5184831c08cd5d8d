import type { Codec } from '../wire/codec.ts'

/** The messages of a route, named from the client's side. */
export interface ClientSide {
  readonly send: unknown
  readonly receive: unknown
}

/** The messages of a route, named from the server's side, as in `ContractOf<typeof route>`. */
export interface ServerSide {
  readonly Receive: unknown
  readonly Send: unknown
}

/** A contract, named from either side. A route receives the messages that its client sends. */
export type ClientContract = ClientSide | ServerSide

type Flipped<C> =
  C extends ServerSide ? { readonly send: C['Receive'], readonly receive: C['Send'] }
    : C extends ClientSide ? C : never

/** The messages that the client of this contract may send. */
export type Outgoing<C extends ClientContract> = Flipped<C>['send']
/** The messages that the client of this contract receives. */
export type Incoming<C extends ClientContract> = Flipped<C>['receive']

/** The values of the field `F` in a union of messages. */
export type FieldValue<M, F extends string> =
  unknown extends M ? unknown : M extends { readonly [K in F]: infer V } ? V : never

/** The messages whose field `F` has the value `V`. */
export type MessageWith<M, F extends string, V> = unknown extends M
  ? unknown
  : M extends { readonly [K in F]: infer W }
    ? V extends W
      ? M
      : never
    : never

/** The messages that have a field `R`. Only these can be answers. */
export type Answer<M, R extends string> =
  unknown extends M ? unknown : M extends unknown ? R extends keyof M ? M : never : never

/** The messages that may have a field `R`. The field may be left out: `request` fills it in. */
export type Request<M, R extends string> = unknown extends M
  ? object
  : M extends unknown ? R extends keyof M ? Omit<M, R> & Partial<Pick<M, R>> : never : never

/** Why a connection or an attempt to connect ended. */
export interface ConnectionEnd {
  /** The close code; 1006 for an attempt that failed and for a connection that was lost. */
  readonly code: number
  readonly reason: string
  /** What the `url` function or the WebSocket constructor threw. */
  readonly error?: unknown
}

/** The state of the client. The object stays the same until the state changes. */
export type ClientState =
  /**
   * `attempt` starts at 1. It starts again after a connection that lasted 5 s, and when the browser
   * is online again.
   */
  | { readonly status: 'connecting', readonly attempt: number }
  | { readonly status: 'open' }
  /** The next attempt starts at `until`, in milliseconds since 1970. */
  | { readonly status: 'waiting', readonly until: number } & ConnectionEnd
  /** Final: this client does not connect again. */
  | { readonly status: 'closed' } & ConnectionEnd

/** The result of `send`. `sent` means that the socket has the message, not that it arrived. */
export type SendResult = 'sent' | 'queued' | 'refused'

/** A connection that ended, or an attempt that failed, with data of the failures before it. */
export interface Failure extends ConnectionEnd {
  /** Failures in a row, this one included. A connection that lasted 5 s ends the row. */
  readonly attempts: number
  /** Time since the first failure of the row. */
  readonly elapsedMs: number
  /** Tells whether this client has ever been open. */
  readonly opened: boolean
}

export interface QueueOptions {
  /** Default: 1 024. */
  readonly maxMessages?: number
  /** The bytes of the messages: text as UTF-8. Default: 1 000 000. */
  readonly maxBytes?: number
  /**
   * What happens to a message when the queue is full. Default: `refuse`. `drop-oldest` and
   * `drop-newest` make room: they remove queued messages from that end.
   */
  readonly policy?: 'drop-oldest' | 'drop-newest' | 'refuse'
}

export interface RequestOptions {
  /**
   * The time from the call to the answer, including the wait for a connection. Default: 10 000.
   * Like all times here at most 2 147 483 647, the limit of timers.
   */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

/**
 * Pings with messages of the application, because browsers do not expose ping frames. The server
 * must answer them.
 */
export interface PingOptions<M> {
  readonly message: () => M
  /** The time without a message before a ping. Default: 30 000. */
  readonly intervalMs?: number
  /** The time to wait for any message after a ping. Default: 10 000. */
  readonly timeoutMs?: number
}

/**
 * The part of a WebSocket that the client uses. The WebSocket of browsers, of Node 22 and of ws
 * fits.
 */
export interface WebSocketLike {
  readonly readyState: number
  readonly bufferedAmount: number
  send (data: string | Uint8Array<ArrayBuffer>): void
  close (code?: number, reason?: string): void
}

export type WebSocketConstructor = new (
  url: string | URL,
  protocols?: string | string[]
) => WebSocketLike

/** An absolute `ws:` or `wss:` URL, or any URL that the WebSocket class accepts. */
export type Url = string | URL

/** Called for each attempt. `signal` is aborted when the attempt ends. */
export type UrlFunction = (attempt: { readonly signal: AbortSignal }) => Url | Promise<Url>

/** The options of the connection, without those of messages. */
export interface LinkOptions {
  /** Default: the global WebSocket. Node 20 has none: pass that of `ws`. */
  readonly WebSocket?: WebSocketConstructor
  readonly protocols?: string | string[]
  /** The time limit of an attempt, including the `url` function. Default: 10 000. */
  readonly connectTimeoutMs?: number
  /**
   * The upper bound of the wait before the second attempt. It doubles with each failure. Default:
   * 500.
   */
  readonly firstWaitMs?: number
  /** The upper bound of all waits. Default: 30 000. */
  readonly maxWaitMs?: number
  /** Tells whether to connect again. Default: not after 1000, 1008 and 4000 to 4999. */
  readonly shouldReconnect?: (end: ConnectionEnd) => boolean
  /**
   * When to close instead of waiting for another attempt: after `attempts` failures in a row,
   * `afterMs` after the first of them, or when the function returns true. Default: after 10
   * attempts when the client was never open, else one hour after the first failure.
   */
  readonly giveUp?: GiveUp | ((failure: Failure) => boolean)
  /** Closes the client when it is aborted. */
  readonly signal?: AbortSignal
}

export interface GiveUp {
  readonly attempts?: number
  readonly afterMs?: number
}

export interface ClientOptions<C extends ClientContract, F extends string, R extends string>
  extends LinkOptions {
  /** The field that `on` selects messages by. Default: `event`. */
  readonly field?: F
  /** The field that a request and its answer share. Default: `ref`. */
  readonly ref?: R
  /** The codec of the route. Default: JSON over text frames. */
  readonly codec?: Codec
  readonly ping?: PingOptions<Outgoing<C>>
  /** `send` refuses while the socket has more unsent bytes than this. Default: 16 000 000. */
  readonly maxBufferedBytes?: number
  /** Bounds of the queue of messages that wait for a connection. */
  readonly queue?: QueueOptions
  /**
   * Bounds of the messages that wait in one async iteration. One more ends the iteration with an
   * error.
   */
  readonly iteration?: Omit<QueueOptions, 'policy'>
  /** Called on each connection. Messages that it sends are sent before the queue. */
  readonly onOpen?: () => void
  /** Called with each message, before the listeners of `on`. */
  readonly onMessage?: (message: Incoming<C>) => void
  /**
   * Called with the errors of listeners, and with a `ClientError` for a frame that cannot be
   * decoded. Default: the error of a listener is an unhandled rejection, and a frame that cannot be
   * decoded is ignored.
   */
  readonly onError?: (error: unknown) => void
  /** Called with each queued message that will never be sent. A request rejects instead. */
  readonly onDrop?: (message: Outgoing<C>) => void
}

/** A connection that reconnects until it is closed or gives up. */
export interface Client<
  C extends ClientContract,
  F extends string = 'event',
  R extends string = 'ref'
> extends AsyncIterable<Incoming<C>> {
  /**
   * Calls the listener with each message whose field has this value. Returns a function that
   * removes it.
   */
  readonly on: <V extends FieldValue<Incoming<C>, F>>(
    value: V, listener: (message: MessageWith<Incoming<C>, F, V>) => void
  ) => () => void
  /** Sends a message, or queues it. Throws what the codec throws. */
  readonly send: (message: Outgoing<C>) => SendResult
  /**
   * Sends a message and resolves with the message that has the same reference. A request is never
   * sent twice. Rejects with a `ClientError`, or with the reason of `signal`.
   */
  readonly request: (
    message: Request<Outgoing<C>, R>, options?: RequestOptions
  ) => Promise<Answer<Incoming<C>, R>>
  /**
   * Closes the client: it does not connect again. `code`: 1000 or 3000 to 4999; default 1000.
   * Idempotent.
   */
  readonly close: (code?: number, reason?: string) => void
  /**
   * Calls the listener with the state, at once and at each change. Returns a function that removes
   * it. Fits Svelte's store contract and, with `getSnapshot`, React's `useSyncExternalStore`.
   */
  readonly subscribe: (listener: (state: ClientState) => void) => () => void
  readonly getSnapshot: () => ClientState
}
