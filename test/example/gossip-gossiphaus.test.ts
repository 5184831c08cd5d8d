import t, { type Test } from 'tap'
import { makeGame, type Game } from '../helpers/gossip.ts'
import { GossipNetwork, ONE_NODE, TWO_NODES, type NetworkKind } from '../helpers/gossip-network.ts'
import { Watcher } from '../helpers/gossip-nodes.ts'
import { startGossiphaus } from '../helpers/gossiphaus.ts'

// Each test waits for heartbeats most of the time.
t.jobs = 3

for (const on of [ONE_NODE, ...TWO_NODES]) {
  void t.test(
    `two games that use the client gossiphaus meet on ${on.name}`,
    { skip: on.skip, timeout: 90_000 },
    (t) => meet(t, on)
  )
}

async function meet (t: Test, on: NetworkKind): Promise<void> {
  const games = [makeGame('Ann'), makeGame('Bob')]
  const [ann, bob] = games as [Game, Game]
  const { nodes } = await GossipNetwork.start(t, await on.open(t), { games, heartbeatMs: 1000 })
  const [first, last] = [nodes[0]!, nodes.at(-1)!]
  const [seenFirst, seenLast] = [await Watcher.open(t, first), await Watcher.open(t, last)]

  const a = startGossiphaus(t, first.ws('/socket'), ann)
  t.match(await a.hears('authenticate'), { status: 'success' })
  await seenLast.until('Ann', (known) => known !== undefined)
  const b = startGossiphaus(t, last.ws('/socket'), bob, { user_agent: 'Haus 1.2.4' })
  await b.hears('connected')
  await seenFirst.until('Bob', (known) => known !== undefined)
  t.equal(await a.call('isAlive'), true)

  t.match(await a.call('send', 'channels/subscribe', { channel: 'lounge' }), { status: 'success' })
  t.match(await b.call('send', 'channels/subscribe', { channel: 'lounge' }), { status: 'success' })
  t.match(
    await b.call('send', 'channels/send', { channel: 'lounge', name: 'Bo', message: 'hello' }),
    { status: 'success' }
  )
  t.same(await a.hears('channels/broadcast'), {
    channel: 'lounge',
    game: 'Bob',
    name: 'Bo',
    message: 'hello'
  })

  t.match(await a.call('addPlayer', 'Al'), { status: 'success' })
  t.match(await b.hears('players/sign-in'), { payload: { game: 'Ann', name: 'Al' } })
  t.match(await b.call('addPlayer', 'Bo'), { status: 'success' })
  await seenFirst.until('Bob', ({ players }) => players.includes('Bo'))
  await seenLast.until('Ann', ({ players }) => players.includes('Al'))
  t.match(await a.call('send', 'players/status', { game: 'Bob' }), {
    payload: { game: 'Bob', players: ['Bo'] }
  })
  t.match(await a.call('send', 'games/status', { game: 'Bob' }), {
    payload: {
      game: 'Bob',
      display_name: 'The game Bob',
      user_agent: 'Haus 1.2.4',
      player_online_count: 1
    }
  })
  t.same(await a.call('findPlayer', 'bo@bob'), { game: 'Bob', name: 'Bo' })

  const tell = {
    from_name: 'Al',
    to_game: 'Bob',
    to_name: 'Bo',
    sent_at: new Date().toISOString(),
    message: 'psst'
  }
  t.match(await a.call('send', 'tells/send', tell), { status: 'success' })
  t.match(await b.hears('tells/receive'), {
    from_game: 'Ann',
    from_name: 'Al',
    to_name: 'Bo',
    message: 'psst'
  })
  await t.rejects(a.call('send', 'tells/send', { ...tell, to_name: 'Nobody' }), {
    message: 'receiving player offline'
  })
  t.match(await a.hears('error'), 'receiving player offline')

  t.match(await a.call('removePlayer', 'Al'), { status: 'success' })
  await seenLast.until('Ann', ({ players }) => players.length === 0)
  // A client that answers no heartbeat is closed before the fourth.
  for (const client of [a, b]) {
    for (let beat = 0; beat < 5; beat++) await client.hears('heartbeat')
    t.equal(await client.call('isAlive'), true)
    t.same(client.errors, [])
  }
  t.match(
    await a.call('send', 'players/status', { game: 'Bob' }),
    { payload: { players: ['Bo'] } },
    'the heartbeats contain the players'
  )
}
