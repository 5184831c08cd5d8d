import { Type, type Static, type TSchema } from '@fastify/type-provider-typebox'
import {
  AchievementAttributesSchema,
  AchievementErrorsSchema,
  AchievementSchema
} from './achievement.ts'

/** What is published must fit into what an engine carries. */
export const MAX_FRAME_BYTES = 256 * 1024
/** Of one socket: each costs a subscription at the broker, and all are told with each heartbeat. */
export const MAX_CHANNELS = 256

const Nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])
const Names = Type.Array(Type.String())
/** No longer than an entry of presence holds, by far. */
const PlayerName = Type.String({ maxLength: 256 })
const ChannelName = Type.Optional(Nullable(Type.String()))
const ByGame = Type.Optional(Nullable(Type.Object({ game: Type.Optional(Type.String()) })))

// ── what a game sends: section 2, then 4 to 9 of the protocol

const Ref = Type.Optional(
  Type.Unknown({ description: "the game's own mark; the answer has it, too" })
)

/** `title` and `example`, a payload, are for the document. */
const request = <E extends string, P extends TSchema>(
  event: E,
  payload: P,
  title: string,
  example: unknown
) =>
    Type.Object(
      { event: Type.Literal(event), ref: Ref, payload },
      { title, examples: [{ event, ref: `${event} 1`, payload: example }] }
    )

export const FromGameSchema = Type.Union([
  request(
    'authenticate',
    Type.Object({
      client_id: Type.Optional(Type.Unknown()),
      client_secret: Type.Optional(Type.Unknown()),
      supports: Type.Optional(Type.Array(Type.Unknown())),
      channels: Type.Optional(Type.Array(Nullable(Type.String()), { maxItems: MAX_CHANNELS })),
      players: Type.Optional(Type.Array(PlayerName)),
      user_agent: Type.Optional(Nullable(Type.String())),
      version: Type.Optional(Nullable(Type.String())),
      debug: Type.Optional(Nullable(Type.Boolean()))
    }),
    'Join the network: the first message',
    {
      // The first demo game's: known-games.ts.
      client_id: '10000000-0000-4000-8000-000000000000',
      client_secret: '10000000-0000-4000-8000-000000000001',
      supports: ['channels', 'players', 'tells', 'games'],
      channels: ['gossip'],
      user_agent: 'the console 1.0',
      version: '2.3.0'
    }
  ),
  request(
    'heartbeat',
    Type.Optional(Nullable(Type.Object({ players: Type.Optional(Type.Array(PlayerName)) }))),
    'Answer a heartbeat, with the players who are there',
    { players: ['Al'] }
  ),
  request('channels/subscribe', Type.Object({ channel: ChannelName }), 'Hear a channel', {
    channel: 'gossip'
  }),
  request(
    'channels/unsubscribe',
    Type.Object({ channel: ChannelName }),
    'Hear a channel no longer',
    { channel: 'gossip' }
  ),
  request(
    'channels/send',
    Type.Object({
      channel: ChannelName,
      name: Type.Optional(Type.String()),
      message: Type.Optional(Type.String())
    }),
    'Talk on a channel',
    { channel: 'gossip', name: 'Al', message: 'Hello!' }
  ),
  request('players/sign-in', Type.Object({ name: PlayerName }), 'A player comes', { name: 'Al' }),
  request('players/sign-out', Type.Object({ name: PlayerName }), 'A player leaves', { name: 'Al' }),
  request('players/status', ByGame, 'Ask who plays', {}),
  request(
    'tells/send',
    Type.Object(
      {
        from_name: Type.String(),
        to_game: Type.String(),
        to_name: Type.String(),
        sent_at: Type.String({
          pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d([.,]\\d+)?Z$'
        }),
        message: Type.String()
      },
      { additionalProperties: false }
    ),
    'Tell a player of another game something',
    {
      from_name: 'Al',
      to_game: 'Bob',
      to_name: 'Bo',
      sent_at: '2026-01-31T12:00:00Z',
      message: 'Hello, Bo!'
    }
  ),
  request('games/status', ByGame, 'Ask which games are online', {}),
  request(
    'achievements/sync',
    Type.Optional(Type.Unknown()),
    'Ask for the achievements of this game',
    {}
  ),
  request(
    'achievements/create',
    Type.Optional(Nullable(AchievementAttributesSchema)),
    'Make an achievement',
    { title: 'First blood', points: 10, display: true, partial_progress: false }
  ),
  request(
    'achievements/update',
    Type.Optional(Nullable(AchievementAttributesSchema)),
    'Change an achievement',
    { key: 'a key', points: 20 }
  ),
  request(
    'achievements/delete',
    Type.Optional(Nullable(AchievementAttributesSchema)),
    'Delete an achievement',
    { key: 'a key' }
  )
])
export type FromGame = Static<typeof FromGameSchema>
export type Event = FromGame['event']
export type Request<E extends Event> = Extract<FromGame, { event: E }>

// ── what a game is told unasked

const ofGame = Type.Object({ game: Type.String() })
const ofPlayer = Type.Object({ game: Type.String(), name: Type.String() })

const NEWS = {
  'channels/broadcast': Type.Object({
    channel: Type.String(),
    game: Type.String(),
    name: Type.String(),
    message: Type.String()
  }),
  'players/sign-in': ofPlayer,
  'players/sign-out': ofPlayer,
  'tells/receive': Type.Object({
    from_game: Type.String(),
    from_name: Type.String(),
    to_name: Type.String(),
    sent_at: Type.String(),
    message: Type.String()
  }),
  'games/connect': ofGame,
  'games/disconnect': ofGame,
  restart: Type.Object({ downtime: Type.Integer() })
}
type Payload<E extends keyof typeof NEWS> = Static<typeof NEWS[E]>

/** As it goes out, with a fresh ref. */
export type Unasked = {
  [E in keyof typeof NEWS]: { event: E, ref: string, payload: Payload<E> }
}[keyof typeof NEWS]

/**
 * As it travels on a topic, to the mailbox of each socket, on all nodes. `notTo`: the game that
 * hears nothing of it.
 */
export type News = {
  [E in keyof typeof NEWS]: { event: E, payload: Payload<E>, notTo?: string }
}[keyof typeof NEWS]

const unasked = Object.entries(NEWS).map(([event, payload]) =>
  Type.Object(
    { event: Type.Literal(event), ref: Type.String(), payload },
    { title: 'Told unasked' }
  )
)
const published = Object.entries(NEWS).map(([event, payload]) =>
  Type.Object({ event: Type.Literal(event), payload, notTo: Type.Optional(Type.String()) })
)

/** A timer's word to its own socket, beside the news. */
export interface Tick {
  readonly event: 'tick'
}

export const InfoSchema = Type.Unsafe<News | Tick>(
  Type.Union([...published, Type.Object({ event: Type.Literal('tick') })])
)

// ── what it is answered: with its own ref, if it gave one

const Heartbeat = Type.Object(
  { event: Type.Literal('heartbeat') },
  { title: 'Asks whether the game is there' }
)
const Status = Type.Union([Type.Literal('success'), Type.Literal('failure')])

const confirmation = <E extends Event>(event: E) =>
  Type.Object(
    {
      event: Type.Literal(event),
      ref: Type.Optional(Type.Unknown()),
      status: Status,
      error: Type.Optional(Type.String())
    },
    { title: 'The answer' }
  )

/** The same, or an answer of substance. */
const answer = <E extends Event, P extends TSchema>(event: E, payload: P) => Type.Object({
  event: Type.Literal(event),
  ref: Type.Optional(Type.Unknown()),
  status: Type.Optional(Status),
  error: Type.Optional(Type.String()),
  payload: Type.Optional(payload)
}, { title: 'The answer' })

export const Link = Type.Union([
  Type.Object({ type: Type.Literal('web'), url: Type.String() }),
  Type.Object({
    type: Type.Union([Type.Literal('telnet'), Type.Literal('secure telnet')]),
    host: Type.String(),
    port: Type.Integer({ minimum: 1, maximum: 65535 })
  })
])

const GameStatus = Type.Object({
  game: Type.String(),
  display_name: Type.String(),
  supports: Names,
  channels: Names,
  player_online_count: Type.Integer(),
  description: Type.Optional(Type.String()),
  homepage_url: Type.Optional(Type.String()),
  user_agent: Type.Optional(Type.String()),
  connections: Type.Optional(Type.Array(Link))
})

const ANSWERS = [
  answer('authenticate', Type.Object({ unicode: Type.String(), version: Type.String() })),
  confirmation('channels/subscribe'),
  confirmation('channels/unsubscribe'),
  confirmation('channels/send'),
  confirmation('players/sign-in'),
  confirmation('players/sign-out'),
  answer('players/status', Type.Object({ game: Type.String(), players: Names })),
  confirmation('tells/send'),
  answer('games/status', GameStatus),
  answer(
    'achievements/sync',
    Type.Object({ total: Type.Integer(), achievements: Type.Array(AchievementSchema) })
  ),
  answer('achievements/create', Type.Union([AchievementSchema, AchievementErrorsSchema])),
  answer('achievements/update', Type.Union([AchievementSchema, AchievementErrorsSchema])),
  answer(
    'achievements/delete',
    Type.Union([Type.Object({ key: Type.String() }), AchievementErrorsSchema])
  )
] as const

/** To a frame that is not understood: neither event nor ref. */
const NotUnderstood = Type.Object(
  {
    status: Type.Union([Type.Literal('unknown'), Type.Literal('failure')]),
    error: Type.Optional(Type.String())
  },
  { title: 'not understood' }
)

// Without an `event` in each member a union is tried member by member: the frequent ones come
// first.
export const ToGameSchema = Type.Unsafe<ToGame>(
  Type.Union([...unasked, Heartbeat, ...ANSWERS, NotUnderstood])
)
type Answer = Static<typeof ANSWERS[number]>
export type ToGame = Unasked | Static<typeof Heartbeat> | Answer | Static<typeof NotUnderstood>

/** What an event is answered with, but for the event and the ref. */
export type AnswerTo<E extends Event> = Omit<Extract<Answer, { event: E }>, 'event' | 'ref'>
