import t from 'tap'
import { connect, type Client } from '../helpers/client.ts'
import { joinAs, makeGame, startGossip, type GossipServer } from '../helpers/gossip.ts'
import type { Teardown } from '../helpers/server.ts'

const GAMES = Array.from({ length: 29 }, (_, i) => makeGame(`Game ${i}`))
/** Names of 256 characters, a list of 256 KiB. */
const PLAYERS = Array.from({ length: 1000 }, (_, i) => `${i}`.padEnd(256, '.'))

/** All lists together are more than the kernel and 1 MiB hold. */
async function startLarge (t: Teardown): Promise<{ server: GossipServer, talker: Client }> {
  const server = await startGossip(t, {
    games: GAMES,
    onlineForMs: 3_600_000,
    heartbeatMs: 3_600_000
  })
  const clients: Client[] = []
  for (const game of GAMES.slice(1)) {
    clients.push(await joinAs(t, server.url, game, { channels: ['gossip'], players: PLAYERS }))
  }
  return { server, talker: clients[0] as Client }
}

void t.test(
  'who asks for the players of all games is sent them, however many there are',
  async (t) => {
    const { server } = await startLarge(t)
    const asking = await joinAs(t, server.url, GAMES[0]!, { supports: ['channels', 'players'] })
    asking.send({ event: 'players/status', ref: 1 })
    for (const { short_name: game } of GAMES.slice(1)) {
      t.match(await asking.nextJson(), {
        ref: 1,
        payload: { game, players: { length: PLAYERS.length } }
      })
    }
  }
)

void t.test(
  'a page on a slow line is sent all games, and then what was said meanwhile',
  async (t) => {
    const { server, talker } = await startLarge(t)
    const page = await connect(t, server.ws('/ws/gossip'))
    page.socket.pause()
    talker.send({
      event: 'channels/send',
      ref: 1,
      payload: { channel: 'gossip', name: 'Al', message: 'hi' }
    })
    t.match(await talker.nextJson(), { status: 'success' })
    page.socket.resume()
    t.match(await page.nextJson(20_000), { event: 'online', games: { length: GAMES.length - 1 } })
    t.match(await page.nextJson(), { event: 'talk', name: 'Al', message: 'hi' })
  }
)
