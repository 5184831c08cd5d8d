import { Type, type TSchema, type TSchemaOptions } from '@fastify/type-provider-typebox'

/** A published message must fit into the payload of an engine. */
export const MAX_FRAME_BYTES = 256 * 1024
/** The most channels of one socket. Each needs a subscription at the broker. */
export const MAX_CHANNELS = 256

const Text = Type.String()
const OptionalText = Type.Optional(Text)
const Any = Type.Optional(Type.Unknown())
const Nullable = <T extends TSchema>(schema: T, more: TSchemaOptions = {}) =>
  Type.Union([schema, Type.Null()], more)
const Name = Type.String({ maxLength: 256 })
export const Names = Type.Array(Text)

// ── payloads from games. `title` and `examples` are for the AsyncAPI document.

export const Credentials = Type.Object(
  {
    client_id: Any,
    client_secret: Any,
    supports: Type.Optional(Type.Array(Type.Unknown())),
    channels: Type.Optional(Type.Array(Nullable(Text), { maxItems: MAX_CHANNELS })),
    players: Type.Optional(Type.Array(Name)),
    user_agent: Type.Optional(Nullable(Text)),
    version: Type.Optional(Nullable(Text)),
    debug: Type.Optional(Nullable(Type.Boolean()))
  },
  {
    title: 'Join the network: the first message',
    examples: [{
      // The credentials of the first demo game (known-games.ts).
      client_id: '10000000-0000-4000-8000-000000000000',
      client_secret: '10000000-0000-4000-8000-000000000001',
      supports: ['channels', 'players', 'tells', 'games'],
      channels: ['gossip'],
      user_agent: 'the console 1.0',
      version: '2.3.0'
    }]
  }
)
export const Heartbeat = Type.Optional(Nullable(
  Type.Object({ players: Type.Optional(Type.Array(Name)) }),
  { title: 'Answer a heartbeat with the players online now', examples: [{ players: ['Al'] }] }
))

const channel = Type.Optional(Nullable(Text))
export const Subscription = Type.Object(
  { channel },
  { title: 'Start or stop listening to a channel', examples: [{ channel: 'gossip' }] }
)
export const Line = Type.Object(
  { channel, name: OptionalText, message: OptionalText },
  { title: 'Talk on a channel', examples: [{ channel: 'gossip', name: 'Al', message: 'Hi' }] }
)
export const Player = Type.Object(
  { name: Name },
  { title: 'A player comes or leaves', examples: [{ name: 'Al' }] }
)
export const ByGame = Type.Optional(Nullable(
  Type.Object({ game: OptionalText }),
  { title: 'Ask for one game, or for all that are online', examples: [{}] }
))

const tell = { from_name: Text, to_name: Text, message: Text }
export const Tell = Type.Object(
  {
    ...tell,
    to_game: Text,
    sent_at: Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d([.,]\\d+)?Z$' })
  },
  {
    additionalProperties: false,
    title: 'Tell a player of another game something',
    examples: [{
      from_name: 'Al',
      to_game: 'Brume',
      to_name: 'Bo',
      sent_at: '2026-01-31T12:00:00Z',
      message: 'Hello, Bo!'
    }]
  }
)
/** Fields may be any JSON: the answer names the invalid ones. */
export const Attributes = Type.Optional(Nullable(
  Type.Object({
    key: Any,
    title: Any,
    description: Any,
    display: Any,
    points: Any,
    partial_progress: Any,
    total_progress: Any
  }),
  { title: 'Create, change or delete an achievement', examples: [{ title: 'First blood' }] }
))
export const Anything = Type.Optional(Type.Unknown({ title: 'Ask for all achievements' }))

// ── payloads to games

export const Welcome = Type.Object({ unicode: Text, version: Text })
export const Restart = Type.Object({ downtime: Type.Integer() })
export const Talk = Type.Object({ channel: Text, game: Text, name: Text, message: Text })
export const PlayerOfGame = Type.Object({ game: Text, name: Text })
export const PlayersOfGame = Type.Object({ game: Text, players: Names })
export const Told = Type.Object({ ...tell, from_game: Text, sent_at: Text })
export const OfGame = Type.Object({ game: Text })
export const Link = Type.Union([
  Type.Object({ type: Type.Literal('web'), url: Text }),
  Type.Object({
    type: Type.Union([Type.Literal('telnet'), Type.Literal('secure telnet')]),
    host: Text,
    port: Type.Integer({ minimum: 1, maximum: 65535 })
  })
])
export const GameStatus = Type.Object({
  game: Text,
  display_name: Text,
  supports: Names,
  channels: Names,
  player_online_count: Type.Integer(),
  description: OptionalText,
  homepage_url: OptionalText,
  user_agent: OptionalText,
  connections: Type.Optional(Type.Array(Link))
})
export const Achievement = Type.Object({
  key: Text,
  title: Text,
  description: Nullable(Text),
  display: Type.Boolean(),
  points: Type.Integer(),
  partial_progress: Type.Boolean(),
  total_progress: Nullable(Type.Integer())
})
const achievements = Type.Array(Achievement)
export const Achievements = Type.Object({ total: Type.Integer(), achievements })
export const Refused = Type.Object({ errors: Type.Record(Text, Names) })
export const Changed = Type.Union([Achievement, Refused])
export const Deleted = Type.Union([Type.Object({ key: Text }), Refused])
