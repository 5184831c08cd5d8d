import { Type, type FastifyPluginAsyncTypebox, type Static } from '@fastify/type-provider-typebox'
import { typed } from 'fastify-websock'
import type { KnownGame } from './known-games.ts'
import type { Network } from './network.ts'
import { topics } from './topics.ts'

const LOOK_EVERY_MS = 1000
/**
 * One look serves all pages meanwhile: with thousands of games it takes tens of milliseconds, and
 * anybody may open a page.
 */
const LOOK_LASTS_MS = 500

const Game = Type.Object({
  game: Type.String(),
  display_name: Type.String(),
  user_agent: Type.String(),
  supports: Type.Array(Type.String()),
  channels: Type.Array(Type.String()),
  players: Type.Array(Type.String())
})

const ToPageSchema = Type.Union([
  Type.Object(
    {
      event: Type.Literal('talk'),
      channel: Type.String(),
      game: Type.String(),
      name: Type.String(),
      message: Type.String(),
      at: Type.Integer()
    },
    { title: 'A player talks on a channel' }
  ),
  Type.Object(
    { event: Type.Literal('online'), games: Type.Array(Game) },
    { title: 'Games that came or have changed' }
  ),
  Type.Object(
    { event: Type.Literal('offline'), games: Type.Array(Type.String()) },
    { title: 'Games that left' }
  )
])
export type ToPage = Static<typeof ToPageSchema>

/** What a page has been told of each game, as JSON. */
type Shown = ReadonlyMap<string, string>

/**
 * For the page at /gossip: which games are online, and what is said on all channels. It cannot say
 * anything itself.
 */
export const watch: FastifyPluginAsyncTypebox<{ network: Network }> = async (app, { network }) => {
  const look = createLook(network)
  app.get('/ws/gossip', {
    schema: {
      summary: 'What happens in the network of games, for the page at /gossip',
      tags: ['gossip'],
      websocket: { receive: Type.Never(), send: ToPageSchema, info: typed<'look'>() }
    },
    // The first look has all games in it, and takes its time on a slow line.
    websocketOptions: { slowPeer: 'wait' },
    websocketHandler: {
      init (_args, ws) {
        ws.subscribe(topics.watchers)
        ws.postInterval('look', LOOK_EVERY_MS)
        const shown = look()
        return ws.push(changes(new Map(), shown), shown)
      },
      // Nothing matches the schema, so this is never called: a page that talks is closed 1008.
      handleIn () {},
      handleInfo (_look, before, ws) {
        const shown = look()
        return ws.push(changes(before, shown), shown)
      }
    }
  })
}

function createLook (network: Network): () => Shown {
  let shown: Shown = new Map()
  let lookedMs = -Infinity
  return () => {
    if (performance.now() - lookedMs < LOOK_LASTS_MS) return shown
    shown = new Map(network.othersThan().flatMap((known) => {
      const game = describe(known, network)
      return game === undefined ? [] : [[game.game, JSON.stringify(game)]]
    }))
    lookedMs = performance.now()
    return shown
  }
}

function describe (known: KnownGame, network: Network): Static<typeof Game> | undefined {
  const online = network.find(known.short_name)
  return online && {
    game: known.short_name,
    display_name: known.name,
    user_agent: online.userAgent,
    supports: [...online.supports],
    channels: [...online.channels],
    players: known.display_players === false ? [] : [...online.players]
  }
}

function changes (before: Shown, now: Shown): ToPage[] {
  if (before === now) return []
  const games = [...now]
    .filter(([game, json]) => before.get(game) !== json)
    .map(([, json]) => JSON.parse(json) as Static<typeof Game>)
  const gone = [...before.keys()].filter((game) => !now.has(game))
  return [
    ...(games.length > 0 ? [{ event: 'online' as const, games }] : []),
    ...(gone.length > 0 ? [{ event: 'offline' as const, games: gone }] : [])
  ]
}
