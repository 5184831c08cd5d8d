import t from 'tap'
import { MemoryNetwork } from '../../src/testing/engines/index.ts'
import { connect, type Client } from '../helpers/client.ts'
import {
  authentication, expectNoMessage, joinAs, makeGame, startGossip
} from '../helpers/gossip.ts'
import { GossipNetwork, TWO_NODES } from '../helpers/gossip-network.ts'
import type { Teardown } from '../helpers/server.ts'

const ALL = { supports: ['channels', 'players', 'tells', 'games'], channels: ['gossip'] }
const HOURS = { onlineForMs: 3_600_000, heartbeatMs: 3_600_000 }
const ERROR = 'an error occurred, try again'

/** Two nodes whose broker is in this process. */
function startPair (t: Teardown, options: object, broker = new MemoryNetwork()) {
  const engine = async () => broker.createEngine()
  return GossipNetwork.start(t, [engine, engine], options)
}

async function ask (client: Client, event: string, payload?: object): Promise<any> {
  client.send({ event, ref: 'ask', payload })
  for (;;) {
    const answer: any = await client.nextJson(20_000)
    if (answer.ref === 'ask') return answer
  }
}

/** Repeats the question. Passes a second each time, so that it stays below the frame limit. */
async function askUntil (
  { pass }: { pass: (ms: number) => void },
  client: Client,
  game: string,
  is: (answer: any) => boolean
): Promise<void> {
  const deadline = performance.now() + 20_000
  for (;;) {
    pass(1000)
    const answer = await ask(client, 'players/status', { game })
    if (is(answer)) return
    if (performance.now() > deadline) throw new Error(`still ${JSON.stringify(answer)}`)
  }
}

const tellTo = (game: any, player: string) => ({
  from_name: 'Al',
  to_game: game.short_name,
  to_name: player,
  sent_at: '2018-08-27T12:00:00Z',
  message: 'psst'
})

void t.test('a game that moves to another node has the flags of its socket there', async (t) => {
  const games: any[] = [makeGame('Ann'), makeGame('Bob')]
  const network = await startPair(t, { games, ...HOURS })
  const [here, there] = network.nodes as [any, any]
  const ann = await joinAs(t, here.url, games[0], { ...ALL, players: ['Al'] })
  const before = await joinAs(t, here.url, games[1], { ...ALL, players: ['Bo'] })
  await network.settle()
  t.match(await ask(ann, 'tells/send', tellTo(games[1], 'Bo')), { status: 'success' })

  before.close()
  await before.closed
  await here.untilLeft(1)
  await network.settle()
  t.match(
    await ask(ann, 'tells/send', tellTo(games[1], 'Bo')),
    { status: 'success' },
    'it is online without a socket for 60 s'
  )
  await joinAs(t, there.url, games[1], { supports: ['channels'], channels: ['other'] })
  await network.settle()
  t.match(await ask(ann, 'tells/send', tellTo(games[1], 'Bo')), { error: 'not supported' })
  t.match(await ask(ann, 'games/status', { game: 'Bob' }), {
    payload: { supports: ['channels'], channels: ['other'], player_online_count: 1 }
  })
})

/** Makes the engine wait for `release` before it subscribes to the topics of channels. */
function holdBack (engine: any) {
  let release!: () => void
  const released = new Promise<void>((resolve) => { release = resolve })
  const subscribe = engine.subscribe.bind(engine)
  engine.subscribe = async (topic: string) => {
    if (topic.includes('gossip channel')) await released
    await subscribe(topic)
  }
  return { engine, release }
}

void t.test('a subscription is confirmed when the broker has confirmed it', async (t) => {
  const games: any[] = [makeGame('Ann'), makeGame('Bob'), makeGame('Cid')]
  const broker = new MemoryNetwork()
  const held = holdBack(broker.createEngine())
  const network = await GossipNetwork.start(
    t,
    [async () => held.engine, async () => broker.createEngine()],
    { games, ...HOURS }
  )
  const [here, there] = network.nodes as [any, any]
  const ann = await joinAs(t, here.url, games[0])
  const talker = await joinAs(t, there.url, games[1], { channels: ['one', 'two'] })
  const talk = (channel: string) =>
    ask(talker, 'channels/send', { channel, name: 'Bo', message: 'hello' })

  ann.send({ event: 'channels/subscribe', ref: 1, payload: { channel: 'one' } })
  ann.send({ event: 'channels/send', ref: 2, payload: {} })
  const cid = await connect(t, here.url)
  cid.send(authentication(games[2], { channels: ['two'] }))
  t.match(await talk('one'), { status: 'success' })
  await network.settle()
  const sockets = [ann, cid]
  t.same(sockets.map(({ received }) => received.length), [2, 0], 'neither has been answered')
  t.match(await ask(talker, 'players/status', { game: 'Cid' }), { error: /missing support/ })

  held.release()
  t.match(await ann.nextJson(), { event: 'channels/subscribe', ref: 1, status: 'success' })
  t.match(await ann.nextJson(), { ref: 2 }, 'in the order of the requests')
  t.match(await cid.nextJson(), { event: 'authenticate', status: 'success' })
  t.match(await cid.nextJson(), { event: 'heartbeat' })
  await talk('one')
  await talk('two')
  for (const [client, channel] of [[ann, 'one'], [cid, 'two']] as const) {
    t.match(await client.nextJson(), { event: 'channels/broadcast', payload: { channel } })
  }
})

for (const { name, skip, open } of TWO_NODES) {
  void t.test(`a message right after a confirmation arrives: ${name}`, { skip }, async (t) => {
    const games: any[] = [makeGame('Ann'), makeGame('Bob')]
    const network = await GossipNetwork.start(t, await open(t), { games, ...HOURS })
    const channels = Array.from(
      { length: 30 },
      (_, i) => `ch-${'abcdef'[i % 6]}${'abcdef'[Math.floor(i / 6)]}`
    )
    const ann = await joinAs(t, network.nodes[0]!.url, games[0])
    const bob = await joinAs(t, network.nodes[1]!.url, games[1], { channels })
    for (const channel of channels) {
      network.pass(2000)
      ann.send({ event: 'channels/subscribe', ref: 1, payload: { channel } })
      t.match(await ann.nextJson(), { status: 'success' })
      bob.send({ event: 'channels/send', payload: { channel, message: channel } })
      t.match(await ann.nextJson(), { payload: { message: channel } })
    }
  })
}

void t.test('a subscription that the broker does not confirm fails after 5 s', async (t) => {
  const games: any[] = [makeGame('Ann'), makeGame('Bob')]
  const broker = new MemoryNetwork()
  const held = holdBack(broker.createEngine())
  const network = await GossipNetwork.start(t, [async () => held.engine], { games, ...HOURS })
  const ann = await joinAs(t, network.nodes[0]!.url, games[0])
  ann.send({ event: 'channels/subscribe', ref: 1, payload: { channel: 'one' } })
  const startedAt = performance.now()
  const bob = await connect(t, network.nodes[0]!.url)
  bob.send(authentication(games[1], { channels: ['two'] }))
  t.match(await ann.nextJson(20_000), { status: 'failure', error: 'Could not subscribe to "one"' })
  t.ok(performance.now() - startedAt > 4_900)
  t.match(await bob.nextJson(20_000), { status: 'success' }, 'a game starts without the broker')
  t.match(await bob.nextJson(), { event: 'heartbeat' })
  t.match(await ask(ann, 'channels/send', { channel: 'one' }), { status: 'success' })
  await expectNoMessage(ann)
})

/** Names of 256 characters: with quotes and commas a list of 243 KB. */
const LONG_LIST = Array.from({ length: 938 }, (_, i) => `${i}`.padEnd(256, '.'))

void t.test('35 games with lists of 243 KB on one node end no socket', async (t) => {
  const games = Array.from({ length: 37 }, (_, i) => makeGame(`G${i}`))
  const network = await startPair(t, { games, ...HOURS })
  const clients: Client[] = []
  for (const game of games.slice(0, 35)) {
    const { url } = network.nodes[0] as any
    clients.push(await joinAs(t, url, game, { ...ALL, players: LONG_LIST }))
  }
  await network.settle()
  for (const node of network.nodes as any[]) {
    const asking = await joinAs(t, node.url, games[node === network.nodes[0] ? 35 : 36]!, {
      ...ALL,
      players: ['Al']
    })
    asking.send({ event: 'players/status', ref: 1 })
    for (let i = 0; i < 35; i++) {
      const { ref, payload }: any = await asking.nextJson(20_000)
      t.same([ref, payload.players.length], [1, LONG_LIST.length], payload.game)
    }
    t.match(await ask(asking, 'players/sign-in', { name: 'Bo' }), { status: 'success' })
  }
  t.ok(clients.every(({ socket }) => socket.readyState === socket.OPEN))
})

void t.test('a list beyond the room for lists fails, and other games keep theirs', async (t) => {
  const games = Array.from({ length: 90 }, (_, i) => makeGame(`G${i}`))
  const server = await startGossip(t, { games, ...HOURS })
  const clients: Client[] = []
  let refused: { game: any, client: Client, answer: any } | undefined
  for (const game of games) {
    const client = await connect(t, server.url)
    client.send(authentication(game, { ...ALL, channels: [], players: LONG_LIST }))
    let answer: any
    do answer = await client.nextJson(20_000)
    while (answer.event !== 'authenticate')
    if (answer.status === 'failure') {
      refused = { game, client, answer }
      break
    }
    clients.push(client)
  }
  t.match(refused?.answer, { event: 'authenticate', status: 'failure', error: ERROR })
  t.same(await refused?.client.closed, { code: 4000, reason: 'goodbye' })
  const asking = await joinAs(t, server.url, games[89]!, { supports: ['channels', 'players'] })
  const { short_name: game } = refused!.game
  t.match(await ask(asking, 'players/status', { game }), { error: 'unknown game' }, 'never online')

  // It authenticates with fewer players, and keeps them when there is no room for more.
  const back = await joinAs(t, server.url, refused!.game, { ...ALL, players: ['Al', 'Bo'] })
  for (const round of [1, 2]) {
    back.send({ event: 'heartbeat', payload: { players: LONG_LIST } })
    const { payload } = await ask(asking, 'players/status', { game })
    t.same(payload, { game, players: ['Al', 'Bo'] }, `${round}`)
  }
  // Fills the rest of the room, name by name.
  let answer: any
  for (let i = 0; answer?.status !== 'failure' && i < 1000; i++) {
    server.pass(1000)
    answer = await ask(back, 'players/sign-in', { name: `${i}`.padEnd(256, '_') })
  }
  t.match(answer, { status: 'failure', error: ERROR })
  t.match(await ask(back, 'players/sign-out', { name: 'Al' }), { status: 'success' }, 'less fits')
  t.equal((await ask(clients[0]!, 'games/status', { game })).status, 'success')
  t.ok([...clients, back].every(({ socket }) => socket.readyState === socket.OPEN))
})

void t.test('a game that reconnects has only the players of its new socket', async (t) => {
  const games: any[] = [makeGame('Ann'), makeGame('Bob')]
  const network = await startPair(t, { games, heartbeatMs: 3_600_000, onlineForMs: 600 })
  const [here, there] = network.nodes as [any, any]
  const bob = await joinAs(t, there.url, games[1], { ...ALL, players: LONG_LIST })
  bob.close()
  await bob.closed
  const asking = await joinAs(t, here.url, games[0], ALL)
  await askUntil(here, asking, 'Bob', ({ error }) => error === 'unknown game')
  await joinAs(t, there.url, games[1], { ...ALL, players: ['Bo'] })
  await network.settle()
  t.same((await ask(asking, 'players/status', { game: 'Bob' })).payload?.players, ['Bo'])
})

void t.test('a node that starts later or was cut off gets all games and lists', async (t) => {
  const games: any[] = [makeGame('Ann'), makeGame('Bob'), makeGame('Cid')]
  const broker = new MemoryNetwork()
  const engines = [broker.createEngine(), broker.createEngine()] as const
  const here = await startGossip(t, { games, websock: { engine: engines[0] }, ...HOURS })
  const bob = await joinAs(t, here.url, games[1], { players: LONG_LIST })
  const there = await startGossip(t, { games, websock: { engine: engines[1] }, ...HOURS })
  const asking = await joinAs(t, there.url, games[0], ALL)
  const length = LONG_LIST.length
  await askUntil(there, asking, 'Bob', ({ payload }) => payload?.players.length === length)

  broker.goDown(engines[1])
  bob.send({ event: 'heartbeat', payload: { players: ['Bo'] } })
  await expectNoMessage(bob)
  await joinAs(t, here.url, games[2], { ...ALL, players: ['Cy'] })
  t.match(await ask(asking, 'players/status', { game: 'Cid' }), { error: 'unknown game' })
  broker.goUp(engines[1])
  await askUntil(there, asking, 'Cid', ({ payload }) => payload?.players[0] === 'Cy')
  await askUntil(there, asking, 'Bob', ({ payload }) => payload?.players.length === 1)
})
