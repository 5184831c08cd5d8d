import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import t, { type Test } from 'tap'
import type { Report } from './attack.ts'
import type { ServerKind } from './server.ts'
import { GROUPS } from './suite.ts'

const execute = promisify(execFile)
const root = resolve(__dirname, '../..')
const MIB = 1024 * 1024
/** The machine may be busy with other tests; alone it is a quarter of that. */
const BEARABLE_MS = 6000

void t.test(
  'hostile peers get the expected answers, and other connections are served',
  { timeout: 120_000 },
  (t) => attack(t, 'ours')
)

async function attack (t: Test, kind: ServerKind): Promise<void> {
  const { results, bystander, server, seconds } = await run(kind)
  const byName = new Map(results.map((result) => [result.name, result]))

  for (const [title, cases] of GROUPS) {
    await t.test(title, async (t) => {
      for (const { name, knownFault } of cases) {
        const {
          received = 'nothing',
          wrong = ['it was not run'],
          skipped = false
        } = byName.get(name) ?? {}
        t.notOk(skipped, `${name}: is run`)
        if (knownFault === undefined) t.same(wrong, [], `${name}: ${received}`)
        else {
          t.not(
            wrong.length,
            0,
            `${name}: ${received} (a known fault; remove its mark when it is mended: ${knownFault})`
          )
        }
      }
    })
  }

  t.comment(
    `${results.length} cases in ${seconds.toFixed(1)} s; slowest echo of the bystander: ` +
    `${bystander.slowestMs.toFixed(0)} ms`
  )
  t.equal(
    new Set(results.map(({ name }) => name)).size,
    results.length,
    'each case has a unique name'
  )
  t.equal(bystander.closed, undefined, 'the bystander stays connected')
  t.ok(bystander.sent > 100, `the bystander sends ${bystander.sent} messages`)
  t.equal(bystander.echoed, bystander.sent, 'the bystander gets each echo')
  t.ok(
    bystander.slowestMs < BEARABLE_MS,
    `the bystander's slowest echo takes ${bystander.slowestMs.toFixed(0)} ms`
  )
  t.ok(
    server !== undefined && server.rss < 64 * MIB,
    `the server's memory grows by ${((server?.rss ?? 0) / MIB).toFixed(1)} MiB at most`
  )
  t.ok(
    server !== undefined && server.external < 64 * MIB,
    `and outside of the heap by ${((server?.external ?? 0) / MIB).toFixed(1)} MiB`
  )
  t.equal(server?.sockets, 0, 'no socket is left')
}

/** Does the same as `npm run test:hostile`, without the build of the library. */
async function run (kind: ServerKind): Promise<Report> {
  // Without the variables of tap, which would trace the processes and use memory of the server.
  const options = { cwd: root, env: { PATH: process.env['PATH'] }, maxBuffer: 16 * MIB }
  // tsc takes seconds; `npm run typecheck` checks the types.
  await build({
    absWorkingDir: root,
    entryPoints: ['run', 'server', 'bystander'].map((name) => `test/hostile/${name}.ts`),
    outdir: 'dist/hostile',
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'cjs'
  })
  const child = execute(
    process.execPath,
    ['dist/hostile/run.js', '--json', '--server', kind],
    options
  )
  // The runner exits with 1 when a case fails. Here each case is asserted by its name.
  const { stdout } = await child.catch((error: { stdout?: string, stderr?: string }) => {
    if (error.stdout?.startsWith('{') !== true) {
      throw new Error(`the runner failed: ${error.stderr ?? String(error)}`)
    }
    return { stdout: error.stdout }
  })
  return JSON.parse(stdout) as Report
}
