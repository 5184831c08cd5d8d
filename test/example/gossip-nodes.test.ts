import t, { type Test } from 'tap'
import { MemoryNetwork } from '../../src/testing/engines/index.ts'
import { startNats, startRedis } from '../helpers/brokers.ts'
import { skipWithout } from '../helpers/browser.ts'
import { expectNoMessage, joinAs, makeGame, startGossip } from '../helpers/gossip.ts'
import { startNodes, Watcher } from '../helpers/gossip-nodes.ts'

const ALL = { supports: ['channels', 'players', 'tells', 'games'], channels: ['gossip'] }
// Each test has its own servers, and waits most of the time.
t.jobs = 4

const FRESH = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

void t.test(
  'two nodes on Redis are one network',
  { skip: skipWithout('redis-server') },
  async (t) => {
    const redis = await startRedis(t)
    await playOnTwoNodes(t, { REDIS_URL: `redis://127.0.0.1:${redis.port}` })
  }
)

void t.test(
  'two nodes on NATS are one network',
  { skip: skipWithout('nats-server') },
  async (t) => {
    const nats = await startNats(t)
    await playOnTwoNodes(t, { NATS_URL: `nats://127.0.0.1:${nats.port}` })
  }
)

void t.test(
  'when a node has died, games/disconnect is sent for its games that do not come back',
  async (t) => {
    const network = new MemoryNetwork()
    const games = ['Ann', 'Bob', 'Cid', 'Dan'].map((name) => makeGame(name))
    const [ann, bob, cid, dan] = games as [any, any, any, any]
    const engines = [network.createEngine(), network.createEngine()] as const
    const [here, there] = (await Promise.all(
      engines.map((engine) => startGossip(t, {
        games,
        websock: { engine },
        onlineForMs: 1000,
        // No heartbeats in between.
        heartbeatMs: 3_600_000
      }))
    )) as [any, any]
    const watcher = await joinAs(t, here.url, ann, ALL)
    for (const game of [bob, cid, dan]) {
      await joinAs(t, there.url, game)
      t.match(await watcher.nextJson(), {
        event: 'games/connect',
        payload: { game: game.short_name }
      })
    }
    // Bob has a socket on each node.
    const bobHere = await joinAs(t, here.url, bob)
    network.goDown(engines[1])
    // Dan reconnects before the end of the node is noticed, so games/connect may be sent or not.
    const danHere = await joinAs(t, here.url, dan)
    const heard: any[] = []
    while (heard.at(-1)?.event !== 'games/disconnect') heard.push(await watcher.nextJson(20_000))
    t.match(heard.at(-1), { event: 'games/disconnect', ref: FRESH, payload: { game: 'Cid' } })
    t.ok(
      heard
        .slice(0, -1)
        .every(
          ({ event, payload }) => event === 'games/connect' && ['Bob', 'Dan'].includes(payload.game)
        )
    )
    for (const client of [watcher, bobHere, danHere]) await expectNoMessage(client)
  }
)

void t.test(
  'the players of a game on two nodes stay when one of the nodes has died',
  async (t) => {
    const network = new MemoryNetwork()
    const games = ['Ann', 'Bob', 'Cid', 'Dan'].map((name) => makeGame(name))
    const [ann, bob, cid, dan] = games as [any, any, any, any]
    const engines = [network.createEngine(), network.createEngine()] as const
    const [here, there] = (await Promise.all(
      engines.map((engine) => startGossip(t, {
        games,
        websock: { engine },
        heartbeatMs: 3_600_000
      }))
    )) as [any, any]
    const asking = await joinAs(t, here.url, ann, ALL)
    for (const game of [bob, dan]) {
      await joinAs(t, there.url, game, { players: [game.name], user_agent: 'Mud 1.0' })
    }
    const seen = await Watcher.open(t, here)
    for (const { short_name: game, name } of [bob, dan]) {
      await seen.until(game, (known) => known?.players[0] === name)
    }
    // Bob sends the same players to this node, and Dan none.
    const bobHere = await joinAs(t, here.url, bob, { user_agent: 'Mud 1.0' })
    bobHere.send({ event: 'heartbeat', payload: { players: [bob.name] } })
    await expectNoMessage(bobHere)
    await joinAs(t, here.url, dan, { user_agent: 'Mud 1.0' })
    await joinAs(t, there.url, cid)
    await seen.until('Cid', (known) => known !== undefined)
    network.goDown(engines[1])
    await seen.until('Cid', (known) => known === undefined)
    for (const { short_name: game, name } of [bob, dan]) {
      asking.send({ event: 'players/status', ref: game, payload: { game } })
      asking.send({ event: 'games/status', ref: game, payload: { game } })
      for (const payload of [
        { game, players: [name] },
        { game, player_online_count: 1, user_agent: 'Mud 1.0' }
      ]) {
        let answer: any
        do answer = await asking.nextJson()
        while (answer.ref !== game)
        t.match(answer, { payload })
      }
    }
  }
)

async function playOnTwoNodes (t: Test, variables: NodeJS.ProcessEnv): Promise<void> {
  const [ann, bob, cid] = ['Ann', 'Bob', 'Cid'].map((name) => makeGame(name)) as [any, any, any]
  const [here, there] = (await startNodes(t, 2, [ann, bob, cid], {
    ...variables,
    GOSSIP_ADMIN_TOKEN: 'token',
    GOSSIP_HEARTBEAT_MS: '3600000'
  })) as [any, any]
  const [seenHere, seenThere] = [await Watcher.open(t, here), await Watcher.open(t, there)]
  const a = await joinAs(t, here.ws('/socket'), ann, {
    ...ALL,
    players: ['Al'],
    user_agent: 'here'
  })
  await seenThere.until('Ann', (known) => known !== undefined)
  const b = await joinAs(t, there.ws('/socket'), bob, {
    ...ALL,
    players: ['Bo'],
    user_agent: 'there'
  })
  t.match(
    await a.nextJson(),
    { event: 'games/connect', ref: FRESH, payload: { game: 'Bob' } },
    'a game that connects elsewhere'
  )
  await seenHere.until('Bob', (known) => known?.players.length === 1)
  const b2 = await joinAs(t, here.ws('/socket'), bob, ALL)
  await expectNoMessage(a)

  b.send({
    event: 'channels/send',
    ref: 1,
    payload: { channel: 'gossip', name: 'Bo', message: 'hi' }
  })
  t.match(await b.nextJson(), { status: 'success' })
  t.match(await a.nextJson(), {
    event: 'channels/broadcast',
    ref: FRESH,
    payload: { channel: 'gossip', game: 'Bob', name: 'Bo', message: 'hi' }
  })
  b.send({ event: 'players/sign-in', ref: 2, payload: { name: 'Bea' } })
  t.match(await b.nextJson(), { ref: 2, status: 'success' })
  t.match(await a.nextJson(), { event: 'players/sign-in', payload: { game: 'Bob', name: 'Bea' } })
  await expectNoMessage(b2)
  await seenHere.until('Bob', ({ players }) => players.length === 2)

  a.send({ event: 'players/status', ref: 3 })
  t.same(await a.nextJson(), {
    event: 'players/status',
    ref: 3,
    payload: { game: 'Bob', players: ['Bea', 'Bo'] }
  })
  a.send({ event: 'games/status', ref: 4, payload: { game: 'Bob' } })
  t.match(await a.nextJson(), {
    ref: 4,
    payload: { game: 'Bob', channels: ['gossip'], player_online_count: 2, user_agent: 'there' }
  })
  const tell = {
    from_name: 'al',
    to_game: 'bob',
    to_name: 'bea',
    sent_at: '2018-08-27T12:00:00Z',
    message: 'psst'
  }
  a.send({ event: 'tells/send', ref: 5, payload: tell })
  t.match(await a.nextJson(), { ref: 5, status: 'success' })
  for (const client of [b, b2]) {
    t.match(await client.nextJson(), {
      event: 'tells/receive',
      payload: { from_game: 'Ann', from_name: 'al', to_name: 'bea', message: 'psst' }
    })
  }
  a.send({ event: 'tells/send', ref: 6, payload: { ...tell, to_name: 'Bot' } })
  t.match(await a.nextJson(), { ref: 6, error: 'receiving player offline' })

  b2.send({ event: 'heartbeat', payload: { players: ['Ben'] } })
  await seenThere.until('Bob', (known) => known?.players[0] === 'Ben')
  b.send({ event: 'players/sign-out', ref: 7, payload: { name: 'Ben' } })
  t.match(await b.nextJson(), { ref: 7, status: 'success' }, 'also when another node got the list')
  t.match(await a.nextJson(), { event: 'players/sign-out', payload: { game: 'Bob', name: 'Ben' } })
  await seenHere.until('Bob', ({ players }) => players.length === 0)
  await expectNoMessage(b2)

  t.equal(
    (
      await fetch(here.http('/gossip/restart?downtime=60'), {
        method: 'POST',
        headers: { authorization: 'Bearer token' }
      })
    ).status,
    204
  )
  for (const client of [a, b, b2]) {
    t.match(await client.nextJson(), { event: 'restart', payload: { downtime: Number } })
  }

  await joinAs(t, there.ws('/socket'), cid)
  t.match(await a.nextJson(), { event: 'games/connect', payload: { game: 'Cid' } })
  await seenHere.until('Cid', (known) => known !== undefined)
  there.process.kill('SIGKILL')
  await seenHere.until('Cid', (known) => known === undefined)
  a.send({ event: 'players/status', ref: 8, payload: { game: 'Cid' } })
  t.match(
    await a.nextJson(),
    { ref: 8, error: 'unknown game' },
    'the games of a dead node are offline'
  )
  a.send({ event: 'games/status', ref: 9 })
  t.match(
    await a.nextJson(),
    { ref: 9, payload: { game: 'Bob' } },
    'except a game that has a socket on this node too'
  )
  await expectNoMessage(a)
}
