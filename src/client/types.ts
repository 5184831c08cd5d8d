import type { Codec } from '../wire/codec.ts'

/** The messages of a route as its client sees them. */
export interface ClientSide {
  readonly send: unknown
  readonly receive: unknown
}

/** The messages of a route by the names of the server: what `ContractOf<typeof route>` gives. */
export interface ServerSide {
  readonly Receive: unknown
  readonly Send: unknown
}

/** Either of them. What a route receives is what its client sends. */
export type ClientContract = ClientSide | ServerSide

type Flipped<C> =
  C extends ServerSide ? { readonly send: C['Receive'], readonly receive: C['Send'] }
    : C extends ClientSide ? C : never

/** What the client of this contract may send. */
export type Outgoing<C extends ClientContract> = Flipped<C>['send']
/** What the client of this contract receives. */
export type Incoming<C extends ClientContract> = Flipped<C>['receive']

/** The values that tell the messages of a union apart by their field `F`. */
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

/** The messages that have a field `R`, which makes them answers. */
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

/** What the client is doing. The object stays the same as long as nothing changes. */
export type ClientState =
  /** `attempt` counts from 1 and starts again after a connection that lasted. */
  | { readonly status: 'connecting', readonly attempt: number }
  | { readonly status: 'open' }
  /** The next attempt starts at `until`, in milliseconds since 1970. */
  | { readonly status: 'waiting', readonly until: number } & ConnectionEnd
  /** Final: this client does not connect again. */
  | { readonly status: 'closed' } & ConnectionEnd

/** What became of a message. `sent` says that it was handed to the socket, not that it arrived. */
export type SendResult = 'sent' | 'queued' | 'refused'

/** A connection that ended, or an attempt that failed, with what is known of those before it. */
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
  /** In bytes of UTF-8 or of the binary message. Default: 1 000 000. */
  readonly maxBytes?: number
  /**
   * What a message meets when the queue is full. Default: `refuse`.
   * `drop-oldest` and `drop-newest` remove queued messages from that end to make room for it.
   */
  readonly policy?: 'drop-oldest' | 'drop-newest' | 'refuse'
}

export interface RequestOptions {
  /**
   * From the call to the answer, waiting for a connection included. Default: 10 000.
   * Like each time here at most 2 147 483 647, the longest that timers take.
   */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

/** A message of the application's that the server answers, because browsers see no ping frames. */
export interface PingOptions<M> {
  readonly message: () => M
  /** Silence before a ping. Default: 30 000. */
  readonly intervalMs?: number
  /** The wait for any message after a ping. Default: 10 000. */
  readonly timeoutMs?: number
}

/** What the client uses of a WebSocket; that of a browser, of Node 22 and of ws have it. */
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

/** An absolute `ws:` or `wss:` address; whatever else the WebSocket takes. */
export type Url = string | URL

/** Called for each attempt. `signal` is aborted when the attempt ends. */
export type UrlFunction = (attempt: { readonly signal: AbortSignal }) => Url | Promise<Url>

/** What concerns the connection, whatever its messages are. */
export interface LinkOptions {
  /** Default: the global one. Node 20 has none: pass that of `ws`. */
  readonly WebSocket?: WebSocketConstructor
  readonly protocols?: string | string[]
  /** Bound on an attempt, the `url` function included. Default: 10 000. */
  readonly connectTimeoutMs?: number
  /** The longest wait before the second attempt; it doubles with each failure. Default: 500. */
  readonly firstWaitMs?: number
  /** No wait is longer. Default: 30 000. */
  readonly maxWaitMs?: number
  /** Default: not after 1000, 1008 and 4000 to 4999. */
  readonly shouldReconnect?: (end: ConnectionEnd) => boolean
  /**
   * When to close instead of waiting for another attempt: after so many failures in a row, when the
   * first of them is so long ago, or when the function says so. Default: after 10 attempts when the
   * client was never open, else one hour after the first failure.
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
  /** The field by whose value `on` selects messages. Default: `event`. */
  readonly field?: F
  /** The field that a request and its answer share. Default: `ref`. */
  readonly ref?: R
  /** The codec of the route. Default: JSON over text frames. */
  readonly codec?: Codec
  readonly ping?: PingOptions<Outgoing<C>>
  /** `send` refuses while more than this waits in the socket. Default: 16 000 000. */
  readonly maxBufferedBytes?: number
  /** Bounds on what waits for a connection. */
  readonly queue?: QueueOptions
  /** Bounds on what waits in one async iteration; more than that ends it with an error. */
  readonly iteration?: Omit<QueueOptions, 'policy'>
  /** Called on each connection. What it sends leaves before what waits in the queue. */
  readonly onOpen?: () => void
  /** Called with each message, before the listeners of `on`. */
  readonly onMessage?: (message: Incoming<C>) => void
  /**
   * Called with what a listener threw and with frames that cannot be decoded (a `ClientError`).
   * Default: what a listener threw is an unhandled rejection; frames that cannot be decoded are
   * ignored.
   */
  readonly onError?: (error: unknown) => void
  /** Called with each queued message that will not be sent. A request rejects instead. */
  readonly onDrop?: (message: Outgoing<C>) => void
}

/** A connection that comes back by itself, until it is closed or gives up. */
export interface Client<
  C extends ClientContract,
  F extends string = 'event',
  R extends string = 'ref'
> extends AsyncIterable<Incoming<C>> {
  /** Calls the listener with each message whose field has this value. Returns what ends that. */
  readonly on: <V extends FieldValue<Incoming<C>, F>>(
    value: V, listener: (message: MessageWith<Incoming<C>, F, V>) => void
  ) => () => void
  /** Sends a message, or queues it. Throws what the codec throws. */
  readonly send: (message: Outgoing<C>) => SendResult
  /**
   * Sends a message and resolves with the message that has the same reference.
   * Never sent twice. Rejects with a `ClientError`, or with the reason of `signal`.
   */
  readonly request: (
    message: Request<Outgoing<C>, R>, options?: RequestOptions
  ) => Promise<Answer<Incoming<C>, R>>
  /** Closes for good. `code`: 1000 or 3000 to 4999; default 1000. Idempotent. */
  readonly close: (code?: number, reason?: string) => void
  /**
   * Calls the listener at once and at each change with the state. Returns what ends that.
   * With `getSnapshot` it fits React's `useSyncExternalStore`, by itself Svelte's store contract.
   */
  readonly subscribe: (listener: (state: ClientState) => void) => () => void
  readonly getSnapshot: () => ClientState
}
