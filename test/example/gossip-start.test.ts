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
// As it was built, because the example imports the package.
const { KnownGames, readGames } = createRequire(__filename)(
  '../../example/dist/gossip/known-games.js'
)

/** Runs the example server until it ends; once it prints this, `then` is done, and it is ended. */
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
  'without a file there are three demo games, whose credentials are printed and work',
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
  'a file that is not a list of games is refused at start, and the error says where',
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

void t.test('a beat that is no number is refused at start', async (t) => {
  const { code, errors } = await run(t, { GOSSIP_HEARTBEAT_MS: 'soon' })
  t.equal(code, 1)
  t.match(errors, /^GOSSIP_HEARTBEAT_MS is a number of milliseconds/)
  // A longer one would end each socket as it opens.
  for (const heartbeatMs of [0, -1, 2 ** 31, Infinity]) {
    await t.rejects(
      startGossip(t, { heartbeatMs }),
      /GOSSIP_HEARTBEAT_MS is a number of milliseconds/
    )
  }
})

void t.test('the variables of the beat and of the token are heard', async (t) => {
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
