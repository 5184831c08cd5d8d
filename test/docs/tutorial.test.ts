import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { startRedis } from '../helpers/brokers.ts'
import { skipWithout } from '../helpers/browser.ts'
import { connect } from '../helpers/client.ts'
import type { Teardown } from '../helpers/server.ts'

// Runs the commands of docs/tutorial.md in an empty folder, except `npm install`: only the packages
// that it names are linked from this repository. Node 20 has the global WebSocket of the client
// behind a flag.

const root = resolve(__dirname, '../..')
const page = readFileSync(join(root, 'docs/tutorial.md'), 'utf8')
const OLD_NODE = Number(process.versions.node.split('.')[0]) < 22

const env = (variables: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({
  PATH: `${process.env['PATH']}`,
  ...(OLD_NODE ? { NODE_OPTIONS: '--experimental-websocket' } : {}),
  ...variables
})

void t.test('the tutorial works, command by command', async (t) => {
  const cwd = await mkdtemp(join(tmpdir(), 'websock-tutorial-'))
  t.teardown(() => rm(cwd, { recursive: true, force: true }))
  const files = [...page.matchAll(/^```(?:ts|json) \[(.+)\]\n([^]*?)\n```$/gm)]
  t.same(files.map(([, name]) => name), [
    'tsconfig.json', 'chat.ts', 'app.ts', 'server.ts', 'chat.test.ts', 'talk.ts'
  ])
  const commands = [...page.matchAll(/^```sh\n([^]*?)\n```$/gm)].map(([, text = '']) => text)
  const [create = '', start = '', test = '', talk = '', first = '', second = '', ...rest] = commands
  t.same(rest, [], 'each block of commands is run here')

  await run(cwd, create.replaceAll(/^npm install .*$/gm, ''))
  for (const [, names = ''] of create.matchAll(/^npm install (?:--save-dev )?(.*)$/gm)) {
    for (const name of names.split(' ')) await link(cwd, name)
  }
  await mkdir(join(cwd, 'src'))
  for (const [, name = '', text = ''] of files) {
    await writeFile(join(cwd, name.endsWith('.json') ? '' : 'src', name), `${text}\n`)
  }

  const [compile = '', serve = ''] = start.split('\n')
  await run(cwd, compile)
  const [compileAgain, testing = ''] = test.split('\n')
  t.equal(compileAgain, compile)
  t.match(await run(cwd, testing), /# pass 2\n/)

  const one = await serveWith(t, cwd, serve, { PORT: '0' })
  const invited = await connect(t, `${one}/chat/lobby?nick=bob`)
  invited.send({ event: 'shout' })
  t.equal((await invited.closed).code, 1008)
  const [, talking = ''] = talk.split('\n')
  const says = startCommand(cwd, talking.replace('ws://localhost:3000', one))
  t.teardown(() => says.kill('SIGKILL'))
  t.equal(await firstLine(says), 'ann: hello')

  await t.test('two nodes', { skip: skipWithout('redis-server') }, async (t) => {
    const redis = await startRedis(t)
    const at = { REDIS_URL: `redis://127.0.0.1:${redis.port}`, PORT: '0' }
    const [here, there] = await Promise.all([first, second].map(async (command) => {
      t.match(command, /^REDIS_URL=redis:\/\/127.0.0.1:6379 PORT=300\d node /)
      return serveWith(t, cwd, command.replace(/^REDIS_URL=\S+ PORT=\d+ /, ''), at)
    }))
    const ann = await connect(t, `${here}/chat/lobby?nick=ann`)
    const bob = await connect(t, `${there}/chat/lobby?nick=bob`)
    let nicks: string[] = []
    while (nicks.length < 2) {
      ann.send({ event: 'list' })
      nicks = (await ann.nextJson<{ nicks: string[] }>()).nicks
    }
    t.same(nicks, ['ann', 'bob'])
    // A message may be lost until the other node has subscribed at the broker.
    let heard: unknown
    while (heard === undefined) {
      ann.send({ event: 'say', text: 'hello' })
      heard = await bob.nextJson(500).catch(() => undefined)
    }
    t.same(heard, { event: 'said', from: 'ann', text: 'hello' })
  })
})

/** Starts a server with this command. Returns its URL. */
async function serveWith (
  t: Teardown,
  cwd: string,
  command: string,
  variables: NodeJS.ProcessEnv
): Promise<string> {
  const child = startCommand(cwd, command, variables)
  t.teardown(() => child.kill('SIGKILL'))
  return (await firstLine(child)).replace(/^http:\/\/\S+:(\d+)$/, 'ws://127.0.0.1:$1')
}

/** Starts one command without a shell, so that a signal reaches the process itself. */
function startCommand (cwd: string, command: string, variables?: NodeJS.ProcessEnv): ChildProcess {
  const [program = '', ...args] = command.split(' ').map((word) => word.replaceAll("'", ''))
  return spawn(program, args, { cwd, env: env(variables), stdio: ['ignore', 'pipe', 'inherit'] })
}

async function firstLine (child: ChildProcess): Promise<string> {
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })
  const line = await Promise.race([once(lines, 'line'), once(lines, 'close')])
  child.stdout?.resume()
  if (line.length > 0) return String(line[0])
  throw new Error(`${child.spawnargs.join(' ')} ended and printed nothing`)
}

/** Runs commands as a shell does. Rejects with what they printed when one fails. */
async function run (cwd: string, commands: string): Promise<string> {
  const child = spawn('bash', ['-ec', commands], { cwd, env: env() })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => { output += chunk })
  }
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`${commands}\nended with ${code}:\n${output}`)
  return output
}

async function link (cwd: string, name: string): Promise<void> {
  const from = name === 'fastify-websock' ? root : join(root, 'node_modules', name)
  const to = join(cwd, 'node_modules', name)
  await mkdir(dirname(to), { recursive: true })
  await symlink(from, to)
  if (name !== 'typescript') return
  await mkdir(join(cwd, 'node_modules/.bin'))
  await symlink(join(from, 'bin/tsc'), join(cwd, 'node_modules/.bin/tsc'))
}
