// Runs the test of docs/testing.md with each test runner.
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import ts from 'typescript'

const execute = promisify(execFile)
const ROOT = join(__dirname, '../..')
const PAGE = readFileSync(join(ROOT, 'docs/testing.md'), 'utf8')

/** The first block of the page that imports the entry. */
const [, example = ''] =
  /```ts[^\n]*\n((?:(?!```)[^])*fastify-websock\/testing(?:(?!```)[^])*)```/.exec(PAGE) ?? []
/** The test without types. */
const program = ts.transpile(example, {
  module: ts.ModuleKind.ESNext,
  target: ts.ScriptTarget.ES2022
})

/** Runs the test in a folder of this package, where its dependencies are found. */
async function run (
  t: Test,
  source: string,
  command: readonly string[]
): Promise<{ code: number, output: string }> {
  const folder = await mkdtemp(join(ROOT, 'test/fixtures/runner-'))
  t.teardown(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, 'chat.test.mjs'), source.replace('./app.js', '../chat-app.mjs'))
  // Without the variables that tap sets.
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'] }
  return execute(process.execPath, [...command, join(folder, 'chat.test.mjs')], {
    cwd: ROOT,
    env,
    timeout: 60_000
  }).then(
    ({ stdout, stderr }) => ({ code: 0, output: stdout + stderr }),
    ({ code, stdout, stderr }: { code: number, stdout: string, stderr: string }) => ({
      code,
      output: stdout + stderr
    })
  )
}

const NEVER_SAID =
  /no message with the event never within 3000 ms[^]*← {"event":"here","nicks":\["ann"\]}/

void t.test(
  'node:test: the test of docs/testing.md passes, and fails with the transcript when changed',
  async (t) => {
    t.ok(example.trimEnd().split('\n').length <= 15, example)
    const mocked = withMockedTimers(program, 'node:test', 'mock', 'mock.timers.reset()')
    t.match(await run(t, mocked, ['--test']), { code: 0, output: /pass 1/ }, 'mocked timers')
    const failed = await run(t, program.replace("next('said')", "next('never')"), ['--test'])
    t.equal(failed.code, 1)
    t.match(failed.output, NEVER_SAID)
  }
)

void t.test(
  'vitest: the test of docs/testing.md passes, and fails with the transcript when changed',
  async (t) => {
    const source = program
      .replace("from 'node:test'", "from 'vitest'")
      .replace('async (t)', 'async ({ onTestFinished })')
      .replace('t.after(', 'onTestFinished(')
    t.match(source, /vitest[^]*\(\{ onTestFinished \}\)[^]*onTestFinished\(/)
    const vitest = [
      join(ROOT, 'node_modules/vitest/vitest.mjs'),
      'run',
      '--root',
      join(ROOT, 'test/fixtures')
    ]
    const mocked = withMockedTimers(source, 'vitest', 'vi', 'vi.useRealTimers()')
    t.match(await run(t, mocked, vitest), { code: 0, output: /1 passed/ }, 'mocked timers')
    const failed = await run(t, source.replace("next('said')", "next('never')"), vitest)
    t.equal(failed.code, 1)
    t.match(failed.output, NEVER_SAID)
  }
)

/** Adds the mocks of the page's table to the test, and an injection, which needs setImmediate. */
function withMockedTimers (source: string, runner: string, mock: string, reset: string): string {
  const [, enable = ''] = new RegExp(`\\| ${runner}[ \\d]* \\| \`(.+?)\``).exec(PAGE) ?? []
  const mocked = source
    .replace('{ test }', `{ test, ${mock} }`)
    .replace('() => app.close()', `() => { ${reset}; return app.close() }`)
    .replace('const ann =', `${enable}
    await app.inject({ method: 'POST', url: '/', payload: { n: 1 } })
    const ann =`)
  if (enable === '' || !mocked.includes(reset) || !mocked.includes('app.inject')) {
    throw new Error(`not mocked: ${mocked}`)
  }
  return mocked
}
