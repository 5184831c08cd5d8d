import t from 'tap'
import { connect, type Client } from '../helpers/client.ts'
import { joinAs, makeGame, startGossip } from '../helpers/gossip.ts'

const GAMES = Array.from({ length: 28 }, (_, i) => makeGame(`Game ${i}`))
/** Not displayed, so that the answers about all games do not contain it. */
const ASKING = makeGame('Asking', { display: false })
/** Names of 256 characters, a list of 256 KiB. */
const PLAYERS = Array.from({ length: 1000 }, (_, i) => `${i}`.padEnd(256, '.'))

/** All lists together are larger than the socket buffers and 1 MiB. */
const start = (async () => {
  const server = await startGossip(t, {
    games: [...GAMES, ASKING],
    onlineForMs: 3_600_000,
    heartbeatMs: 3_600_000
  })
  const clients: Client[] = []
  for (const game of GAMES) {
    clients.push(await joinAs(t, server.url, game, { channels: ['gossip'], players: PLAYERS }))
  }
  return { server, talker: clients[0] as Client }
})()

void t.test(
  'players/status without a game sends the lists of all games, 7 MB in all',
  async (t) => {
    const { server } = await start
    const asking = await joinAs(t, server.url, ASKING, { supports: ['channels', 'players'] })
    asking.send({ event: 'players/status', ref: 1 })
    for (const { short_name: game } of GAMES) {
      t.match(await asking.nextJson(), {
        ref: 1,
        payload: { game, players: { length: PLAYERS.length } }
      })
    }
  }
)

void t.test(
  'a page that stops reading gets all games, and then the messages of the meantime',
  async (t) => {
    const { server, talker } = await start
    const page = await connect(t, server.ws('/ws/gossip'))
    page.socket.pause()
    talker.send({
      event: 'channels/send',
      ref: 1,
      payload: { channel: 'gossip', name: 'Al', message: 'hi' }
    })
    t.match(await talker.nextJson(), { status: 'success' })
    page.socket.resume()
    t.match(await page.nextJson(20_000), { event: 'online', games: { length: GAMES.length } })
    t.match(await page.nextJson(), { event: 'talk', name: 'Al', message: 'hi' })
  }
)
