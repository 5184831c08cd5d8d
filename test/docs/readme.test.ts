import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import * as errors from '../../src/errors.ts'
import { resolvePluginOptions } from '../../src/plugin/options.ts'
import { connect } from '../helpers/client.ts'

const ROOT = join(__dirname, '../..')
const README = readFileSync(join(ROOT, 'README.md'), 'utf8')
const PROMISES = readFileSync(join(ROOT, 'test/README.md'), 'utf8')

/** The rows of the table under a heading, cell by cell. */
function tableUnder (heading: string, page = README): string[][] {
  const [, section = ''] = page.split(`\n## ${heading}\n`)
  const body = section.split('\n## ')[0] ?? ''
  return body
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .slice(2)
    .map((line) =>
      line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim())
    )
}

/** Runs the n-th example that listens, as it stands, and gives its port. */
async function runExample (t: Test, n: number): Promise<string> {
  const examples = [...README.matchAll(/```js\n((?:(?!```)[^])*app\.listen(?:(?!```)[^])*)```/g)]
  const example = examples[n]?.[1] ?? ''
  t.ok(example.split('\n').length <= 41, 'it has 40 lines at most')
  // In this folder, so that its imports find the packages; only the port is another.
  const file = join(ROOT, `readme-example-${n}-${process.pid}.mjs`)
  await writeFile(file, example.replace('port: 3000', 'port: 0'))
  t.teardown(() => rm(file))
  const child = spawn(process.execPath, [file], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env['PATH'] }
  })
  t.teardown(() => child.kill('SIGKILL'))
  for await (const line of createInterface({ input: child.stdout })) {
    const port = /Server listening at http:\/\/[^"]+:(\d+)/.exec(line)?.[1]
    if (port === undefined) continue
    child.stdout.resume()
    return port
  }
  throw new Error('the example ended before it listened')
}

void t.test('the first example, a connection timer, runs as it stands', async (t) => {
  const port = await runExample(t, 0)
  const url = `ws://localhost:${port}/ws/connection_timer/ann?everyMs=50`
  const client = await connect(t, url)
  t.match(await client.next(), /^ann: \d+s\.$/)
  client.send('request_timer')
  while (!/^ann: connected for \d+s\.$/.test(String(await client.next())));
})

void t.test('the example with typed messages runs as it stands', async (t) => {
  const port = await runExample(t, 1)
  const client = await connect(t, `ws://localhost:${port}/rooms/lobby?nick=ann`)
  client.send({ event: 'say', text: 'hello' })
  t.same(await client.nextJson(), { event: 'said', text: 'ann: hello' })
  client.send({ event: 'leave' })
  t.same(await client.closed, { code: 1000, reason: '1 said' })
})

void t.test('the table of errors has each code with its status, and no other', async (t) => {
  const documented = tableUnder('Errors').map(([code, status]) => [
    code?.replaceAll('`', ''),
    Number(status)
  ])
  const made = Object.entries(errors).map(([name, Constructor]) => {
    const error = new Constructor()
    t.equal(error.code, name)
    return [name, error.statusCode]
  })
  t.same(new Map(documented as Array<[string, number]>), new Map(made as Array<[string, number]>))
})

void t.test('the table of options has each option with its default, and no other', async (t) => {
  const SIZES: Record<string, number> = { '1 MiB': 1024 * 1024, '64 KiB': 64 * 1024 }
  const documented = new Map<string, string>()
  for (const [names = '', defaults = ''] of tableUnder('Options')) {
    const split = [...names.matchAll(/`(\w+)`/g)].map(([, name]) => name as string)
    const values = defaults.split(/ \/ |, /)
    split.forEach((name, i) =>
      documented.set(name, (values[i] ?? values[0] ?? '').replaceAll('`', ''))
    )
  }
  const resolved = resolvePluginOptions({})
  t.same([...documented.keys()].sort(), Object.keys(resolved).sort())
  for (const [name, value] of Object.entries(resolved)) {
    const words = documented.get(name) ?? ''
    if (name === 'drain') {
      t.same(
        [
          ...(tableUnder('Options').find(([names]) => names === '`drain`')?.[1] ?? '').matchAll(
            /\d[\d ]*/g
          )
        ].map(([digits]) => Number(digits.replaceAll(' ', ''))),
        Object.values(value as object)
      )
      continue
    }
    if (value === undefined) t.match(words, /^(JSON|unlimited|off|all)$/, name)
    else if (typeof value === 'number') {
      t.equal(SIZES[words] ?? Number(words.replace(/\s|\(.*/g, '')), value, name)
    } else {
      t.equal(
        words.replaceAll("'", ''),
        typeof value === 'string' ? value : JSON.stringify(value),
        name
      )
    }
  }
})

void t.test('the table of promises names tests that exist', async (t) => {
  const rows = tableUnder('Promises and their tests', PROMISES)
  t.ok(rows.length > 40)
  for (const [promise = '', file = ''] of rows) {
    for (const [, name = ''] of file.matchAll(/`([^`]+)`/g)) {
      t.ok(existsSync(join(ROOT, 'test', name)), `${promise}: ${name}`)
    }
    if (!promise.startsWith('**')) t.match(file, /`/, promise)
  }
})
