'use strict'

// Runs two games that use gossiphaus for 65 s, on the example server with its real heartbeats each
// 15 s. Each must get four heartbeats after the first one, and a message of the other game each
// second. Neither may be closed. `npm run typecheck && node test/soak/gossiphaus.js` runs it. With
// REDIS_URL each game has its own server.
const { fork, spawn } = require('node:child_process')
const { join } = require('node:path')
const { createInterface } = require('node:readline')

const ROOT = join(__dirname, '..', '..')
const SECONDS = 65

/** Starts the server of `npm start` on a free port. Returns it, and the games that it prints. */
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
  console.log(process.exitCode === 1 ? 'failed' : 'passed')
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
