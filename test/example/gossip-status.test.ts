import t from 'tap'
import type { Client } from '../helpers/client.ts'
import { authentication, joinAs, makeGame, startGossip } from '../helpers/gossip.ts'
import { connectRaw, handshake, text, type RawClient } from '../helpers/raw.ts'
import { LONG } from '../helpers/scale.ts'

const ONLINE = LONG ? 1000 : 300
/** Of the ping-pongs of another socket while 100 requests are answered. */
const MIN_PONGS = LONG ? 30 : 9
const PLAYERS = Array.from({ length: 20 }, (_, i) => `Player ${i}`)
const FLAGS = { supports: ['channels', 'players', 'games'] }
const HOURS = { onlineForMs: 3_600_000, heartbeatMs: 3_600_000 }

// The clients are in the server's process, so none of them parses JSON during a measurement.
// CPU time is compared, because it does not depend on other processes.

const games = Array.from({ length: ONLINE + 2 }, (_, i) => makeGame(`G${i}`))
const start = (async () => {
  const server = await startGossip(t, { games, ...HOURS })
  for (const game of games.slice(0, ONLINE)) {
    const client = await joinAs(t, server.url, game, { players: PLAYERS })
    client.socket.pause()
  }
  return server
})()

/** Opens a socket whose bytes are only counted. */
async function joinRaw (t: any, url: string, game: any): Promise<RawClient> {
  const client = await connectRaw(t, Number(new URL(url).port))
  client.write(handshake('/socket')).write(text(JSON.stringify(authentication(game, FLAGS))))
  return client.until(() => client.text.includes('"heartbeat"'))
}

/** Resolves with the bytes of the answers to one request. */
async function measure (client: RawClient, event: string): Promise<number> {
  client.bytes = Buffer.alloc(0)
  const before = client.size
  client.write(request(event)).write(text('{'))
  await client.until(() => client.bytes.subarray(-100).includes('"unknown"'))
  return client.size - before - '..{"status":"unknown"}'.length
}

const request = (event: string): Buffer => text(JSON.stringify({ event, ref: 'r' }))

for (const event of ['players/status', 'games/status']) {
  void t.test(`${event} of ${ONLINE} games takes at most 10 times JSON.stringify`, async (t) => {
    const server = await start
    const client = await joinRaw(t, server.url, games[ONLINE])
    const bytes = await measure(client, event)
    let [best, bestOfReference] = [Infinity, Infinity]
    for (let round = 0; round < 80; round++) {
      server.pass(10_000)
      const beforeReference = process.cpuUsage()
      for (const { short_name: game } of games) {
        Buffer.from(JSON.stringify({ event, ref: 'r', payload: { game, players: PLAYERS } }))
      }
      bestOfReference = Math.min(bestOfReference, spent(beforeReference))
      client.bytes = Buffer.alloc(0)
      const wanted = client.size + bytes
      const before = process.cpuUsage()
      client.write(request(event))
      await client.until(() => client.size >= wanted)
      best = Math.min(best, spent(before))
    }
    t.comment(`${best} ms of CPU time; JSON.stringify alone ${bestOfReference} ms`)
    t.ok(best < 10 * bestOfReference, `${best} ms < 10 * ${bestOfReference} ms`)
  })

  void t.test(`another socket is served while 100 ${event} requests are answered`, async (t) => {
    const server = await start
    server.pass(10_000)
    const other = await joinAs(t, server.url, games[ONLINE + 1]!, FLAGS)
    const one = await joinRaw(t, server.url, games[ONLINE])
    const bytes = await measure(one, event)
    server.pass(10_000)
    const bursts: Record<string, RawClient[]> = {
      'one socket': Array(100).fill(one),
      '100 sockets': await Promise.all(
        Array.from({ length: 100 }, () => joinRaw(t, server.url, games[ONLINE]))
      )
    }
    for (const [name, clients] of Object.entries(bursts)) {
      server.pass(10_000)
      const sizes = new Map<RawClient, number>()
      for (const client of clients) {
        client.bytes = Buffer.alloc(0)
        sizes.set(client, (sizes.get(client) ?? client.size) + bytes)
      }
      const answered = Promise.all([...sizes].map(([client, size]) =>
        client.until(() => client.size >= size, 60_000)))
      const pongs = countPongs(other)
      for (const client of clients) client.write(request(event))
      await answered
      const { count, worstMs } = pongs.end()
      t.comment(`${name}: ${count} pongs meanwhile, the slowest after ${worstMs.toFixed(1)} ms`)
      t.ok(count >= MIN_PONGS, `${name}: ${count} pongs of the other socket`)
    }
  })
}

function spent (before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}

/** Sends a ping after each pong. */
function countPongs ({ socket }: Client) {
  let [count, worstMs, sentAt] = [0, 0, performance.now()]
  const hear = (): void => {
    count++
    worstMs = Math.max(worstMs, performance.now() - sentAt)
    sentAt = performance.now()
    socket.ping()
  }
  socket.on('pong', hear).ping()
  return {
    end () {
      socket.off('pong', hear)
      return { count, worstMs: Math.max(worstMs, performance.now() - sentAt) }
    }
  }
}
