'use strict'

// Two games that use gossiphaus, on the example server with its real beat of 15 s, for 65 s: each
// must hear four heartbeats behind the first, and what the other says each second; neither may be
// closed. `npm run typecheck && node test/soak/gossiphaus.js`; with REDIS_URL on two such servers,
// one for each.
const { fork, spawn } = require('node:child_process')
const { join } = require('node:path')
const { createInterface } = require('node:readline')

const ROOT = join(__dirname, '..', '..')
const SECONDS = 65

/** What `npm start` starts, on a free port, and the games that it prints. */
async function startServer () {
  const server = spawn(process.execPath, [join(ROOT, 'example/dist/server.js')], {
    env: { ...process.env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  let url
  const games = []
  for await (const line of createInterface({ input: server.stdout })) {
    url ??= /ws:\S+\/socket/.exec(line)?.[0]
    const [, id, secret] = /client_id (\S+) +client_secret (\S+)/.exec(line) ?? []
    if (id !== undefined) games.push({ url, client_id: id, client_secret: secret })
    if (games.length === 2) break
  }
  return { server, games }
}

async function main () {
  const first = await startServer()
  const second = process.env.REDIS_URL === undefined ? first : await startServer()
  const games = [first.games[0], second.games[1]]
  const clients = games.map((game) => {
    const counts = {}
    const child = fork(join(ROOT, 'test/fixtures/gossiphaus-client.js'), [JSON.stringify(game)])
    child.on('message', ({ type, event }) => {
      const name = type === 'event' ? event.replace(/:.+/, ' with a ref') : type
      counts[name] = (counts[name] ?? 0) + 1
    })
    return { child, counts }
  })
  for (let passed = 0; passed < SECONDS; passed++) {
    await new Promise((resolve) => setTimeout(resolve, 1000))
    if (passed >= 5 && passed < SECONDS - 2) {
      for (const { child } of clients) {
        child.send({
          call: 'send',
          args: ['channels/send', { channel: 'gossip', name: 'n', message: `${passed}` }]
        })
      }
    }
  }
  for (const { child, counts } of clients) {
    console.log(counts)
    if (
      counts.heartbeat !== 5 ||
      counts['authenticate:'] !== 1 ||
      counts['channels/broadcast'] !== SECONDS - 7 ||
      counts.error !== undefined
    ) {
      process.exitCode = 1
    }
    child.kill('SIGKILL')
  }
  for (const { server } of [first, second]) server.kill('SIGKILL')
  console.log(process.exitCode === 1 ? 'failed' : 'as it should be')
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
