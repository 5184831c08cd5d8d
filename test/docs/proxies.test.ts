import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect as connectTcp } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as later } from 'node:timers/promises'
import t from 'tap'
import { findFreePort } from '../helpers/brokers.ts'
import { skipWithout } from '../helpers/browser.ts'
import { connect } from '../helpers/client.ts'
import { startServer } from '../helpers/server.ts'

const page = readFileSync(join(__dirname, '../../docs/recipes/proxies.md'), 'utf8')

const PROXIES = [
  {
    name: 'nginx',
    wrap: (config: string, folder: string) =>
      `pid ${folder}/pid; error_log stderr; daemon off; master_process off; events {}
      http { access_log off; client_body_temp_path ${folder}; proxy_temp_path ${folder};
      fastcgi_temp_path ${folder}; uwsgi_temp_path ${folder}; scgi_temp_path ${folder};
      ${config} }`,
    args: (file: string) => ['-e', 'stderr', '-c', file]
  },
  { name: 'haproxy', wrap: (config: string) => `${config}\n`, args: (file: string) => ['-f', file] }
]

for (const { name, wrap, args } of PROXIES) {
  void t.test(`a client behind ${name}`, { skip: skipWithout(name) }, async (t) => {
    const server = await startServer(t, (app) => {
      app.get('/ws', {
        websocketHandler: {
          init: ({ request }, ws) => ws.push(request.ip, {}),
          handleIn: (message, _state, ws) => ws.push(message)
        }
      })
    }, { fastify: { trustProxy: '127.0.0.1' } })
    const folder = await mkdtemp(join(tmpdir(), 'websock-proxy-'))
    const port = await findFreePort()
    const [, config = ''] = new RegExp(`\`\`\`(?:text )?${name}\n([^]*?)\`\`\``).exec(page) ?? []
    const ported = config.replace('8080', `${port}`).replace('3000', `${server.port}`)
    const file = join(folder, 'proxy.conf')
    await writeFile(file, wrap(ported, folder))
    const child = spawn(name, args(file), { stdio: ['ignore', 'inherit', 'inherit'] })
    const exited = once(child, 'exit')
    t.teardown(async () => {
      child.kill('SIGKILL')
      await exited
      await rm(folder, { recursive: true, force: true })
    })
    await untilListening(port)

    const url = `ws://127.0.0.1:${port}/ws`
    const client = await connect(t, url, { headers: { 'X-Forwarded-For': '192.0.2.1' } })
    t.equal(await client.next(), '127.0.0.1', 'the address of the client that the proxy has seen')
    client.send('hello')
    t.equal(await client.next(), 'hello')
    await connect(t, url, { origin: `http://127.0.0.1:${port}` })
    await t.rejects(connect(t, url, { origin: 'http://evil.example' }), { message: /403/ })
    await server.app.close()
    t.equal((await client.closed).code, 1012)
  })
}

async function untilListening (port: number): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const socket = connectTcp(port, '127.0.0.1')
    const open = await once(socket, 'connect').then(() => true, () => false)
    socket.destroy()
    if (open) return
    await later(50)
  }
  throw new Error(`nothing listens on port ${port}`)
}
