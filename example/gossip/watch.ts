import { Type, type FastifyPluginAsyncTypebox, type Static } from '@fastify/type-provider-typebox'
import type { OnlineGame } from './entry.ts'
import type { KnownGame } from './known-games.ts'
import type { Network } from './network.ts'
import { Names, Talk as OnChannel } from './payloads.ts'
import { topics } from './topics.ts'

const LOOK_EVERY_MS = 1000

const TalkSchema = Type.Object(
  { event: Type.Literal('talk'), ...OnChannel.properties, at: Type.Integer() },
  { title: 'A player talks on a channel' }
)
export type Talk = Static<typeof TalkSchema>
const Game = Type.Object({
  game: Type.String(),
  display_name: Type.String(),
  user_agent: Type.String(),
  channels: Names,
  players: Names
})
const ToPageSchema = Type.Union([
  TalkSchema,
  Type.Object(
    { event: Type.Literal('online'), games: Type.Array(Game) },
    { title: 'New and changed games' }
  ),
  Type.Object({ event: Type.Literal('offline'), games: Names }, { title: 'Games that left' })
])
type ToPage = Static<typeof ToPageSchema>

const InfoSchema = Type.Union([TalkSchema, Type.Object({ event: Type.Literal('look') })])

/** The endpoint of the page at /gossip: the online games, and the talk on all channels. */
export const watch: FastifyPluginAsyncTypebox<{ network: Network }> = async (app, { network }) => {
  app.get('/ws/gossip', {
    schema: {
      summary: 'Events of the game network, for the page at /gossip',
      tags: ['gossip'],
      websocket: { receive: Type.Never(), send: ToPageSchema, info: InfoSchema }
    },
    // The first message contains all games, and takes long on a slow line.
    websocketOptions: { slowPeer: 'wait' },
    websocketHandler: {
      init (_args, ws) {
        ws.subscribe(topics.pages)
        ws.postInterval({ event: 'look' }, LOOK_EVERY_MS)
        const shown: Shown = new Map()
        return ws.push(look(shown, network, network.games), shown)
      },
      // Never called, because no message matches the schema: a page that sends is closed with 1008.
      handleIn () {},
      handleInfo (info, shown, ws) {
        if (info.event === 'look') return ws.push(look(shown, network, network.games))
        // A new game is shown before its talk.
        const game = network.games.find(info.game)
        return ws.push([...look(shown, network, game === undefined ? [] : [game]), info])
      }
    }
  })
}

/** The games that a page shows. */
type Shown = Map<string, OnlineGame>

/** The changes of these games since the last message to the page. */
function look (shown: Shown, network: Network, games: Iterable<KnownGame>): ToPage[] {
  const came: Array<Static<typeof Game>> = []
  const gone: string[] = []
  for (const { short_name: game, name, display, display_players: showsPlayers } of games) {
    const online = display === false ? undefined : network.find(game)
    if (online === shown.get(game)) continue
    if (online === undefined) {
      shown.delete(game)
      gone.push(game)
      continue
    }
    shown.set(game, online)
    came.push({
      game,
      display_name: name,
      user_agent: online.userAgent,
      channels: [...online.channels],
      players: showsPlayers === false ? [] : [...online.players]
    })
  }
  return [
    ...(came.length > 0 ? [{ event: 'online' as const, games: came }] : []),
    ...(gone.length > 0 ? [{ event: 'offline' as const, games: gone }] : [])
  ]
}
