import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { connect } from '../helpers/client.ts'
import { startExample } from '../helpers/example.ts'
import { joinAs, makeGame, startGossip } from '../helpers/gossip.ts'

const SERVER = join(__dirname, '../../example/dist/server.js')
// The built file, because the example imports the package `fastify-websock`.
const { KnownGames, readGames } = createRequire(__filename)(
  '../../example/dist/gossip/known-games.js'
)

/**
 * Runs the example server until it exits. When it has printed `until`, `then` is called, and the
 * server is stopped.
 */
async function run (
  t: Test,
  variables: NodeJS.ProcessEnv,
  until?: RegExp,
  then?: (out: string) => Promise<void>
): Promise<{ code: number | null, out: string, errors: string }> {
  const child = spawn(process.execPath, [SERVER], {
    env: { PATH: process.env['PATH'], PORT: '0', ...variables }
  })
  t.teardown(() => child.kill('SIGKILL'))
  const ended = once(child, 'close') as Promise<[number | null]>
  const errors = text(child.stderr)
  let out = ''
  for await (const data of child.stdout) {
    out += String(data)
    if (until?.test(out) !== true) continue
    await then?.(out)
    child.kill('SIGTERM')
  }
  const [code] = await ended
  return { code, out, errors: await errors }
}

void t.test(
  'without GOSSIP_GAMES there are three demo games, and their printed credentials work',
  async (t) => {
    const { code } = await run(t, {}, /(client_secret [^\n]+\n[^]*){3}/, async (out) => {
      const games = [...out.matchAll(/^ +(\w+) +client_id (\S+) +client_secret (\S+)$/gm)]
      t.equal(games.length, 3)
      const [url = ''] = /ws:\S+\/socket/.exec(out) ?? []
      for (const [, name = '', id = '', secret = ''] of games) {
        await joinAs(t, url, { ...makeGame(name), client_id: id, client_secret: secret })
      }
    })
    t.equal(code, 0)
  }
)

void t.test(
  'an invalid file of games is refused at start, and the error contains the place in the file',
  async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'websock-games-'))
    t.teardown(() => rm(folder, { recursive: true, force: true }))
    const path = join(folder, 'games.json')
    const good = makeGame('Ann')
    const cases: Array<[unknown, RegExp]> = [
      ['[{', /cannot be read: .*JSON/],
      [{}, /games\.json must be array/],
      [[good, { ...good, name: 5 }], /games\.json\/1\/name must be string/],
      [[{ ...good, short_name: 'half \ud800' }], /games\.json\/0\/short_name must match/],
      [[{ ...good, client_secret: 'short' }], /games\.json\/0\/client_secret must match/],
      [[{ name: 'Ann' }], /games\.json\/0 must have required properties/],
      [[{ ...good, display_player: true }], /games\.json\/0 must not have additional properties/],
      [
        [{ ...good, connections: [{ type: 'telnet', host: 'h', port: '23' }] }],
        /games\.json\/0\/connections\/0/
      ],
      [[good, makeGame('ANN')], /The game Ann and The game ANN have the same short_name/],
      [
        [good, { ...makeGame('Bob'), client_id: good.client_id.toUpperCase() }],
        /The game Ann and The game Bob have the same client_id/
      ]
    ]
    for (const [content, error] of cases) {
      await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content))
      t.throws(() => new KnownGames(readGames(path)), error)
    }
    const { code, out, errors } = await run(t, { GOSSIP_GAMES: join(folder, 'none.json') })
    t.equal(code, 1)
    t.equal(out, '')
    t.match(errors, /^GOSSIP_GAMES: [^\n]+none\.json cannot be read: ENOENT[^\n]+\n$/, 'one line')
  }
)

void t.test('GOSSIP_HEARTBEAT_MS that is not a number is refused at start', async (t) => {
  const { code, errors } = await run(t, { GOSSIP_HEARTBEAT_MS: 'soon' })
  t.equal(code, 1)
  t.match(errors, /^GOSSIP_HEARTBEAT_MS is a number of milliseconds/)
  // A timer of more than 2 ** 31 - 1 ms fires at once, and would close each socket.
  for (const heartbeatMs of [0, -1, 2 ** 31, Infinity]) {
    await t.rejects(
      startGossip(t, { heartbeatMs }),
      /GOSSIP_HEARTBEAT_MS is a number of milliseconds/
    )
  }
})

void t.test('GOSSIP_GAMES, GOSSIP_HEARTBEAT_MS and GOSSIP_ADMIN_TOKEN are used', async (t) => {
  const game = makeGame('Ann')
  const folder = await mkdtemp(join(tmpdir(), 'websock-games-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  await writeFile(
    join(folder, 'games.json'),
    JSON.stringify([
      {
        ...game,
        display: true,
        display_players: true,
        description: '',
        homepage_url: '',
        connections: []
      }
    ])
  )
  const server = await startExample(t, 0, {
    GOSSIP_GAMES: join(folder, 'games.json'),
    GOSSIP_HEARTBEAT_MS: '1000',
    GOSSIP_ADMIN_TOKEN: 'token'
  })
  const client = await joinAs(t, server.ws('/socket'), game)
  t.same(await client.closed, { code: 4001, reason: 'goodbye' })
  const stranger = await connect(t, server.ws('/socket'))
  const restart = (authorization: string) =>
    fetch(server.http('/gossip/restart?downtime=100'), {
      method: 'POST',
      headers: { authorization }
    })
  t.equal((await restart('Bearer tokem')).status, 401)
  t.equal((await restart('Bearer token')).status, 204)
  t.match(await stranger.nextJson(), { event: 'restart', payload: { downtime: Number } })
})

void t.test(
  'POST /gossip/restart with the token announces a restart to each socket, 5 s sooner or later',
  async (t) => {
    const server = await startGossip(t, { adminToken: 'secret word' })
    const restart = (query: string, authorization?: string) =>
      fetch(server.http(`/gossip/restart${query}`), {
        method: 'POST',
        headers: authorization === undefined ? {} : { authorization }
      })
    for (const authorization of [
      undefined,
      '',
      'Bearer',
      'Bearer ',
      'Bearer secret',
      'Bearer secret word2',
      'Basic secret word',
      'secret word'
    ]) {
      t.equal((await restart('?downtime=x', authorization)).status, 401, `${authorization}`)
    }
    t.equal((await restart('?downtime=x', 'Bearer secret word')).status, 400)
    t.equal((await restart('?downtime=-1', 'Bearer secret word')).status, 400)
    const clients = [
      await connect(t, server.url),
      await connect(t, server.url),
      await joinAs(t, server.url, server.games.get('Ann')!)
    ]
    const heard = new Set<number>()
    for (let round = 0; round < 40; round++) {
      t.ok((await restart(round === 0 ? '' : '?downtime=15', 'Bearer secret word')).ok)
      for (const client of clients) {
        const { event, ref, payload, ...more }: any = await client.nextJson()
        t.match({ event, ref, more }, { event: 'restart', ref: /^[0-9a-f-]{36}$/, more: {} })
        heard.add(payload.downtime)
      }
    }
    t.same([Math.min(...heard), Math.max(...heard)], [10, 20], '120 draws of eleven')
    t.ok([...heard].every(Number.isInteger))
  }
)

void t.test('POST /gossip/restart is 404 without an admin token', async (t) => {
  const server = await startGossip(t)
  for (const headers of [{}, { authorization: 'Bearer ' }, { authorization: 'Bearer undefined' }]) {
    t.equal(
      (await fetch(server.http('/gossip/restart?downtime=5'), { method: 'POST', headers })).status,
      404
    )
  }
})
