import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { connect } from '../helpers/client.ts'
import { linksOf, readPage, ROOT, tableUnder } from './pages.ts'

/** The pages in the package: see `files` of package.json. */
const PACKED = /^(README|CHANGELOG|SECURITY|LICENSE|docs\/(recipes\/)?[\w-]+\.md$)/
const README = readPage('README.md')
/** The examples that listen, in their order. */
const EXAMPLES = [...README.matchAll(/```js\n((?:(?!```)[^])*app\.listen(?:(?!```)[^])*)```/g)].map(
  ([, code = '']) => code
)
const [TIMER = '', ROOM = ''] = EXAMPLES

void t.test('the README has at most 150 lines, and examples of at most 45', async (t) => {
  t.ok(README.trimEnd().split('\n').length <= 150)
  t.equal(EXAMPLES.length, 2)
  for (const example of EXAMPLES) t.ok(example.split('\n').length <= 45, example)
})

void t.test('the first example, a connection timer, runs unchanged', async (t) => {
  const client = await connect(t, `${await run(t, 'timer', TIMER)}/timer/ann?everyMs=50`)
  t.match(await client.next(), /^alert: ann, \d+ ms$/)
  client.send('request_timer')
  while (!/^ann: \d+ ms$/.test(String(await client.next())));
})

void t.test('the second example, a room, runs unchanged', async (t) => {
  const url = `${await run(t, 'room', ROOM)}/rooms/lobby`
  const ann = await connect(t, `${url}?nick=ann`)
  t.same(await ann.nextJson(), { event: 'here', nicks: ['ann'] })
  const bob = await connect(t, `${url}?nick=bob`)
  const both = { event: 'here', nicks: ['ann', 'bob'] }
  t.same([await ann.nextJson(), await bob.nextJson()], [both, both])
  bob.send({ event: 'say', text: 'hello' })
  const said = { event: 'said', from: 'bob', text: 'hello' }
  t.same([await ann.nextJson(), await bob.nextJson()], [said, said])
  bob.close()
  t.same(await ann.nextJson(), { event: 'here', nicks: ['ann'] })
  ann.send({ event: 'say' })
  t.equal((await ann.closed).code, 1008, 'a message that does not match')
})

void t.test('the test of the room has 15 lines, passes, and fails when changed', async (t) => {
  const [, source = ''] = /```js\n((?:(?!```)[^])*node:test(?:(?!```)[^])*)```/.exec(README) ?? []
  t.ok(source.trimEnd().split('\n').length <= 15, source)
  const server = `readme-tested-${process.pid}.mjs`
  await write(t, server, ROOM)
  const runTest = async (name: string, text: string): Promise<number | null> => {
    const file = await write(t, name, text.replace('./server.mjs', `./${server}`))
    const child = spawn(process.execPath, ['--test', file], {
      stdio: 'ignore',
      env: { PATH: process.env['PATH'] }
    })
    const [code] = await once(child, 'exit') as [number | null]
    return code
  }
  t.equal(await runTest(`readme-passes-${process.pid}.test.mjs`, source), 0)
  const changed = source.replace("text, 'Hello!'", "text, 'Goodbye!'")
  t.not(changed, source)
  t.equal(await runTest(`readme-fails-${process.pid}.test.mjs`, changed), 1)
})

void t.test('links of the packed pages lead to packed files and to headings', async (t) => {
  const folders = ['.', 'docs', 'docs/recipes']
  const pages = folders.flatMap((folder) => readdirSync(join(ROOT, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name)))
    .filter((page) => PACKED.test(page))
  t.ok(pages.includes('README.md') && pages.includes('docs/recipes/auth.md'))
  for (const page of pages) {
    for (const { path, anchor } of linksOf(page)) {
      t.ok(existsSync(join(ROOT, path)), `${page}: ${path}`)
      // Pictures are only on the site. They would be a third of the package.
      if (!path.endsWith('.png')) t.match(path, PACKED, `${page}: not a link, but \`…\``)
      if (anchor !== '') t.ok(anchorsOf(path).includes(anchor), `${page}: ${path}#${anchor}`)
    }
  }
  t.ok(linksOf('README.md').length > 20)
})

void t.test('figures of the comparison are those of bench/README.md', async (t) => {
  const bench = readPage('bench/README.md')
  const rows = new Map(tableUnder('Compared', README).map(([name = '', ...cells]) => [name, cells]))
  for (const name of ['typed JSON, pipelined', 'memory per idle connection']) {
    const [ours, byHand, ...others] = rows.get(name) ?? []
    const cells = rowOf(bench, name)
    t.same([byHand, ours], cells.slice(1, 3), name)
    t.same(others.filter((cell) => cell !== ''), [], 'other cells are empty')
  }
  const nodes = rows.get('two nodes over Redis') ?? []
  t.same([nodes[0], nodes[2]], [rowOf(bench, 'ours')[1], '1.00'])
})

/** Writes a file beside the packages, with a free port. Returns its path. */
async function write (t: Test, name: string, text: string): Promise<string> {
  const file = join(ROOT, name)
  await writeFile(file, text.replace('port: 3000', 'port: 0'))
  t.teardown(() => rm(file))
  return file
}

/** Runs an example in the root folder, where packages are found. Returns its URL. */
async function run (t: Test, name: string, example: string): Promise<string> {
  const file = await write(t, `readme-${name}-${process.pid}.mjs`, example)
  const child = spawn(process.execPath, [file], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env['PATH'] }
  })
  t.teardown(() => child.kill('SIGKILL'))
  for await (const line of createInterface({ input: child.stdout })) {
    const port = /Server listening at http:\/\/[^"]+:(\d+)/.exec(line)?.[1]
    if (port === undefined) continue
    child.stdout.resume()
    return `ws://localhost:${port}`
  }
  throw new Error('the example ended before it listened')
}

/** The headings of a page as GitHub and VitePress name them in links. */
function anchorsOf (path: string): string[] {
  return [...readPage(path).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-')
  )
}

/** The cells of the first row of any table that begins with this name. */
function rowOf (page: string, name: string): string[] {
  const line = page.split('\n').find((line) => line.startsWith(`| ${name} `)) ?? ''
  return line.split('|').slice(1, -1).map((cell) => cell.trim())
}
