import t, { type Test } from 'tap'
import { startNats, startRedis } from '../helpers/brokers.ts'
import { skipWithout } from '../helpers/browser.ts'
import { makeGame } from '../helpers/gossip.ts'
import { startNodes, Watcher } from '../helpers/gossip-nodes.ts'
import { startGossiphaus } from '../helpers/gossiphaus.ts'

const GOSSIP_HEARTBEAT_MS = '1000'

// Most of the time they wait for heartbeats.
t.jobs = 3

void t.test('two games that use gossiphaus meet on one node', { timeout: 90_000 }, async (t) => {
  await meet(t, 1)
})

void t.test(
  'two games that use gossiphaus meet on two nodes over Redis',
  { skip: skipWithout('redis-server'), timeout: 90_000 },
  async (t) => {
    const redis = await startRedis(t)
    await meet(t, 2, { REDIS_URL: `redis://127.0.0.1:${redis.port}` })
  }
)

void t.test(
  'two games that use gossiphaus meet on two nodes over NATS',
  { skip: skipWithout('nats-server'), timeout: 90_000 },
  async (t) => {
    const nats = await startNats(t)
    await meet(t, 2, { NATS_URL: `nats://127.0.0.1:${nats.port}` })
  }
)

async function meet (t: Test, count: number, variables: NodeJS.ProcessEnv = {}): Promise<void> {
  const [ann, bob] = [makeGame('Ann'), makeGame('Bob')]
  const nodes = await startNodes(t, count, [ann, bob], { ...variables, GOSSIP_HEARTBEAT_MS })
  const [first, last] = [nodes[0]!, nodes[count - 1]!]
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
  // Four beats are what it would take to be closed for silence.
  for (const client of [a, b]) {
    for (let beat = 0; beat < 5; beat++) await client.hears('heartbeat')
    t.equal(await client.call('isAlive'), true)
    t.same(client.errors, [])
  }
  t.match(
    await a.call('send', 'players/status', { game: 'Bob' }),
    { payload: { players: ['Bo'] } },
    'the heartbeats have told of them'
  )
}
