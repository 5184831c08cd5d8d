import t, { type Test } from 'tap'
import { connect, type Client } from '../helpers/client.ts'
import { authentication, expectNoMessage, joinAs, startGossip } from '../helpers/gossip.ts'

const BEAT_MS = 15_000
const HEARTBEAT = { event: 'heartbeat' }
const GOODBYE = { code: 4001, reason: 'goodbye' }
const ALL = { supports: ['channels', 'players', 'tells', 'games'] }

/**
 * Starts a server for the subtests of `t`. Before each of them all sockets are closed, and all
 * games are offline.
 */
async function start (t: Test, options: { heartbeatMs?: number } = {}) {
  const server = await startGossip(t, { timersByHand: true, ...options })
  t.beforeEach(async () => {
    await server.untilLeft(0)
    server.pass(2 * 60_000)
  })
  return server
}

async function status (client: Client, game: string): Promise<any> {
  client.send({ event: 'players/status', ref: 1, payload: { game } })
  const { error, payload }: any = await client.nextJson()
  return error ?? payload.players
}

/** Passes the time of `count` heartbeats, which these clients answer. */
async function beats (
  server: Awaited<ReturnType<typeof start>>,
  count: number,
  ...clients: Client[]
): Promise<void> {
  for (let beat = 0; beat < count; beat++) {
    server.pass(BEAT_MS)
    for (const client of clients) {
      const message = await client.nextJson<any>()
      if (message.event !== 'heartbeat') throw new Error(JSON.stringify(message))
      client.send(HEARTBEAT)
      await expectNoMessage(client)
    }
  }
}

void t.test('heartbeats every 15 s', async (t) => {
  const server = await start(t)

  await t.test(
    'a game that answers no heartbeat is closed with 4001 at the third, 45 s after it connected',
    async (t) => {
      const client = await joinAs(t, server.url, server.games.get('Ann')!)
      for (let tick = 1; tick <= 2; tick++) {
        server.pass(BEAT_MS - 1)
        await expectNoMessage(client)
        server.pass(1)
        t.same(await client.nextJson(), HEARTBEAT)
      }
      server.pass(BEAT_MS - 1)
      await expectNoMessage(client)
      server.pass(1)
      t.same(await client.closed, GOODBYE)
    }
  )

  await t.test('a game that answers each heartbeat stays, also with invalid answers', async (t) => {
    const client = await joinAs(t, server.url, server.games.get('Ann')!)
    for (const answer of [
      {},
      { payload: {} },
      { payload: null },
      { payload: { players: [''] } },
      { payload: 'text' },
      { payload: { players: 5 } },
      { ref: 1 },
      {}
    ]) {
      client.send({ ...HEARTBEAT, ...answer })
      await expectNoMessage(client)
      server.pass(BEAT_MS)
      t.same(await client.nextJson(), HEARTBEAT)
    }
  })

  await t.test(
    'one answer is enough for all heartbeats before it',
    async (t) => {
      const client = await joinAs(t, server.url, server.games.get('Ann')!)
      for (let round = 0; round < 2; round++) {
        for (let tick = 0; tick < 2; tick++) {
          server.pass(BEAT_MS)
          t.same(await client.nextJson(), HEARTBEAT)
        }
        client.send(HEARTBEAT)
        await expectNoMessage(client)
      }
    }
  )

  await t.test(
    'a socket that does not authenticate gets no heartbeat, and is closed with 4001 after 60 s',
    async (t) => {
      const client = await connect(t, server.url)
      await expectNoMessage(client)
      for (let tick = 1; tick <= 3; tick++) {
        server.pass(BEAT_MS)
        await expectNoMessage(client)
      }
      server.pass(BEAT_MS)
      t.same(await client.closed, GOODBYE)
    }
  )

  await t.test('heartbeat intervals before the authentication count as unanswered', async (t) => {
    const [late, saved] = [await connect(t, server.url), await connect(t, server.url)]
    for (const client of [late, saved]) await expectNoMessage(client)
    for (let tick = 1; tick <= 2; tick++) {
      server.pass(BEAT_MS)
      // Each tick must be handled before the next one, because an interval keeps at most one.
      for (const client of [late, saved]) await expectNoMessage(client)
    }
    for (const [client, name] of [[late, 'Ann'], [saved, 'Bob']] as const) {
      client.send(authentication(server.games.get(name)!))
      t.match(await client.nextJson(), { status: 'success' })
      t.same(await client.nextJson(), HEARTBEAT, 'the third heartbeat without an answer')
    }
    saved.send(HEARTBEAT)
    await expectNoMessage(saved)
    server.pass(BEAT_MS)
    t.same(await late.closed, GOODBYE)
    t.same(await saved.nextJson(), HEARTBEAT)
  })
})

void t.test('heartbeatMs is the time between two heartbeats', async (t) => {
  const server = await start(t, { heartbeatMs: 500 })
  const client = await joinAs(t, server.url, server.games.get('Ann')!)
  for (let tick = 1; tick <= 2; tick++) {
    server.pass(500)
    t.same(await client.nextJson(), HEARTBEAT)
  }
  server.pass(500)
  t.same(await client.closed, GOODBYE)
})

void t.test('online games', async (t) => {
  const server = await start(t)

  await t.test(
    'a game is online for 60 s after a sign of life; games/disconnect is 60 s after its end',
    async (t) => {
      const [ann, bob] = [server.games.get('Ann')!, server.games.get('Bob')!]
      const watcher = await joinAs(t, server.url, ann, ALL)
      const sockets = [
        await joinAs(t, server.url, bob, { players: ['Bo'] }),
        await joinAs(t, server.url, bob)
      ]
      t.match(await watcher.nextJson(), { event: 'games/connect', payload: { game: 'Bob' } })
      await expectNoMessage(watcher)
      await beats(server, 1, watcher)
      for (const socket of sockets) socket.close()
      await server.untilLeft(1)

      await beats(server, 2, watcher)
      server.pass(BEAT_MS - 1)
      t.same(await status(watcher, 'Bob'), ['Bo'], 'still online after the close')
      await beats({ ...server, pass: () => server.pass(1) }, 1, watcher)
      t.equal(await status(watcher, 'Bob'), 'unknown game', '60 s after it authenticated')
      watcher.send({
        event: 'tells/send',
        ref: 1,
        payload: {
          from_name: 'x',
          to_game: 'Bob',
          to_name: 'Bo',
          sent_at: '2018-01-01T00:00:00Z',
          message: ''
        }
      })
      t.match(await watcher.nextJson(), { error: 'game offline' })

      server.pass(BEAT_MS - 1)
      await expectNoMessage(watcher)
      server.pass(1)
      const both: any[] = [await watcher.nextJson(), await watcher.nextJson()].sort(
        (a: any, b: any) => (a.event < b.event ? -1 : 1)
      )
      t.match(
        both,
        [
          { event: 'games/disconnect', ref: /^[0-9a-f-]{36}$/, payload: { game: 'Bob' } },
          HEARTBEAT
        ],
        '60 s after its last socket'
      )

      await joinAs(t, server.url, bob)
      t.match(await watcher.nextJson(), { event: 'games/connect', payload: { game: 'Bob' } })
      t.same(await status(watcher, 'Bob'), [], 'without the players of before')
    }
  )

  await t.test('a game that reconnects within 60 s keeps its players', async (t) => {
    const watcher = await joinAs(t, server.url, server.games.get('Ann')!, ALL)
    const first = await joinAs(t, server.url, server.games.get('Bob')!, { players: ['Bo'] })
    t.match(await watcher.nextJson(), { event: 'games/connect' })
    first.close()
    await server.untilLeft(1)
    await beats(server, 3, watcher)
    const second = await joinAs(t, server.url, server.games.get('Bob')!)
    t.same(await status(watcher, 'Bob'), ['Bo'], 'still online, with its players')
    await beats(server, 3, watcher, second)
    t.not(await status(watcher, 'Bob'), 'unknown game')
  })
})

void t.test(
  'some requests are signs of life: their game stays online for another 60 s',
  async (t) => {
    // The sockets need not answer heartbeats.
    const server = await start(t, { heartbeatMs: 3_600_000 })
    const signs = [
      [true, { event: 'heartbeat' }],
      [true, { event: 'players/sign-in', payload: { name: 'Cy' } }],
      [true, { event: 'players/sign-out', payload: { name: 'Bo' } }],
      [true, { event: 'channels/subscribe', payload: { channel: 'gossip' } }],
      [true, { event: 'channels/unsubscribe', payload: { channel: 'testing' } }],
      [false, { event: 'channels/send', payload: { channel: 'testing' } }],
      [false, { event: 'players/status', ref: 1 }],
      [false, { event: 'games/status' }]
    ] as const
    for (const [isSign, sign] of signs) {
      await t.test(`${sign.event} is ${isSign ? 'a' : 'no'} sign of life`, async (t) => {
        const game = await joinAs(t, server.url, server.games.get('Bob')!, {
          ...ALL,
          channels: ['testing'],
          players: ['Bo']
        })
        const other = await joinAs(t, server.url, server.games.get('Ann')!, ALL)
        server.pass(40_000)
        other.send(HEARTBEAT)
        game.send(sign)
        game.send('{')
        while ((await game.next()) !== '{"status":"unknown"}');
        other.send('{')
        while ((await other.next()) !== '{"status":"unknown"}');
        server.pass(40_000)
        t.equal((await status(other, 'Bob')) === 'unknown game', !isSign)
        if (isSign) return
        game.send({
          event: 'tells/send',
          ref: 1,
          payload: {
            to_game: 'Ann',
            from_name: 'Bo',
            to_name: 'Al',
            sent_at: '2018-01-01T00:00:00Z',
            message: ''
          }
        })
        t.match(await game.nextJson(), { error: 'game offline' }, 'the sender too')
      })
    }
  }
)
