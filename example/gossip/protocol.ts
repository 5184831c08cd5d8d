import {
  Type,
  type Static,
  type TLiteral,
  type TObject,
  type TOptional,
  type TSchema,
  type TSchemaOptions,
  type TUnknown
} from '@fastify/type-provider-typebox'
import * as payload from './payloads.ts'

/**
 * Every event of the protocol, in its order, with its payloads: `request` from a game, `answer` to
 * that request, and `news`, which the server sends without a request. The file named above an event
 * handles it.
 */
export const PROTOCOL = {
  // life.ts; `restart` begins in restart.ts
  authenticate: { request: payload.Credentials, answer: payload.Welcome },
  heartbeat: { request: payload.Heartbeat },
  restart: { news: payload.Restart },
  // channels.ts
  'channels/subscribe': { request: payload.Subscription },
  'channels/unsubscribe': { request: payload.Subscription },
  'channels/send': { request: payload.Line },
  'channels/broadcast': { news: payload.Talk },
  // players.ts
  'players/sign-in': { request: payload.Player, news: payload.PlayerOfGame },
  'players/sign-out': { request: payload.Player, news: payload.PlayerOfGame },
  'players/status': { request: payload.ByGame, answer: payload.PlayersOfGame },
  // tells.ts
  'tells/send': { request: payload.Tell },
  'tells/receive': { news: payload.Told },
  // games.ts; `games/connect` begins in life.ts, `games/disconnect` in network.ts
  'games/connect': { news: payload.OfGame },
  'games/disconnect': { news: payload.OfGame },
  'games/status': { request: payload.ByGame, answer: payload.GameStatus },
  // achievements.ts
  'achievements/sync': { request: payload.Anything, answer: payload.Achievements },
  'achievements/create': { request: payload.Attributes, answer: payload.Changed },
  'achievements/update': { request: payload.Attributes, answer: payload.Changed },
  'achievements/delete': { request: payload.Attributes, answer: payload.Deleted }
}

type Protocol = typeof PROTOCOL
type EventWith<Part extends string> = {
  [E in keyof Protocol]: Protocol[E] extends Record<Part, TSchema> ? E : never
}[keyof Protocol]
type Envelope<E extends string, P extends TSchema> =
  Static<TObject<{ event: TLiteral<E>, ref: TOptional<TUnknown>, payload: P }>>

export type RequestEvent = EventWith<'request'>
/** A message from a game. */
export type Request<E extends RequestEvent = RequestEvent> = {
  [K in E]: Envelope<K, Protocol[K]['request']>
}[E]

/**
 * A publication to the mailbox of each subscribed socket, on all nodes. The sockets of the game
 * `notTo` do not send it to their client.
 */
export type News<E extends EventWith<'news'> = EventWith<'news'>> = {
  [K in E]: { event: K, payload: Static<Protocol[K]['news']>, notTo?: string }
}[E]
/** The info of the heartbeat interval. */
export interface Tick { readonly event: 'tick' }

type SentPayload<P> = P extends { answer: infer A extends TSchema }
  ? Static<A>
  : P extends { news: infer N extends TSchema } ? Static<N> : never
/** A message to a game. The answer to an unknown frame has neither `event` nor `ref`. */
export type ToGame =
  | { status: 'unknown' | 'failure', error?: string }
  | {
    [K in keyof Protocol]: {
      event: K
      ref?: unknown
      status?: 'success' | 'failure'
      error?: string
      payload?: SentPayload<Protocol[K]>
    }
  }[keyof Protocol]

// ── the same types as schemas

interface Row { request?: TSchema, answer?: TSchema, news?: TSchema }
const rows: Array<[string, Row]> = Object.entries(PROTOCOL)
const Ref = Type.Optional(Type.Unknown({ description: 'Any JSON. The answer has the same value.' }))
const Status = Type.Union([
  Type.Literal('success'),
  Type.Literal('failure'),
  Type.Literal('unknown')
])
const Text = Type.Optional(Type.String())

export const RequestSchema = Type.Unsafe<Request>(Type.Union(rows.flatMap(([event, row]) => {
  if (row.request === undefined) return []
  const { title = event, examples = [] }: TSchemaOptions = { ...row.request }
  return Type.Object(
    { event: Type.Literal(event), ref: Ref, payload: row.request },
    { title, examples: (examples as unknown[]).map((payload) => ({ event, ref: 1, payload })) }
  )
})))

export const InfoSchema = Type.Unsafe<News | Tick>(Type.Union([
  Type.Object({ event: Type.Literal('tick') }),
  ...rows.flatMap(([event, { news: payload }]) =>
    payload ? Type.Object({ event: Type.Literal(event), payload, notTo: Text }) : [])
]))

export const ToGameSchema = Type.Unsafe<ToGame>(Type.Union([
  ...rows.map(([event, { answer, news, request }]) => Type.Object({
    event: Type.Literal(event),
    ref: Ref,
    status: Type.Optional(Status),
    error: Text,
    payload: Type.Optional(answer ?? news ?? Type.Never())
  }, { title: request ? 'The answer' : 'Sent without a request' })),
  Type.Object({ status: Status, error: Text }, { title: 'The answer to an unknown frame' })
]))

export function isRequest (message: unknown): message is { event: RequestEvent, ref?: unknown } {
  const { event } = (message ?? {}) as { event?: unknown }
  return typeof event === 'string' && Object.hasOwn(PROTOCOL, event) &&
    'request' in PROTOCOL[event as keyof Protocol]
}
