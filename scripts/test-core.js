'use strict'

// Runs the tests that depend most on the version of Node, with the Node that runs this script.
// `npm run test:node -- 26` fetches that version from the npm registry. The test runner does not
// start on every Node, so each file is bundled and Node runs the bundle. Prints one line for each
// file, and the whole output of a file that fails.
const { execFile } = require('node:child_process')
const { readdirSync, rmSync } = require('node:fs')
const { basename, dirname, join } = require('node:path')
const { buildSync } = require('esbuild')

const TIMEOUT_MS = 180_000
const root = join(__dirname, '..')
const CORE = [
  /^neighbours\/.*/, /^upgrade\/(neighbours|other-listeners)$/, /(^|\/)(upgrade|handshake)$/,
  /(^upgrade-|\/)plain-http$/,
  /(^upgrade-elsewhere|\/beside-other-routes)$/, /(^|\/)ending$/, /(^|\/)shutdown$/,
  /(^|\/)packaging$/, /^client\/(messages|reconnecting|sending)$/
]

void main()

async function main () {
  const queue = findFiles()
  const counts = []
  const work = async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      counts.push(await run(file))
    }
  }
  await Promise.all([work(), work()])
  const sum = (name) => counts.reduce((total, count) => total + count[name], 0)
  console.log(`Node ${process.version}: ${sum('passed')} passed, ${sum('failed')} failed`)
  if (sum('failed') > 0) process.exitCode = 1
}

function findFiles () {
  const names = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts') && !name.endsWith('.long.test.ts'))
    .map((name) => name.replaceAll('\\', '/').replace('.test.ts', ''))
  const lost = CORE.filter((pattern) => !names.some((name) => pattern.test(name)))
  if (lost.length > 0) throw new Error(`no test file matches ${lost.join(', ')}`)
  return names.filter((name) => CORE.some((pattern) => pattern.test(name)))
}

/** Bundles beside the test, whose fixtures are found from its folder. */
async function run (name) {
  const source = join(root, 'test', `${name}.test.ts`)
  const bundle = join(dirname(source), `.${basename(name)}.${process.pid}.bundle.cjs`)
  try {
    buildSync({
      entryPoints: [source],
      outfile: bundle,
      bundle: true,
      platform: 'node',
      format: 'cjs',
      packages: 'external',
      logLevel: 'warning'
    })
    const { error, output } = await new Promise((resolve) => {
      execFile(
        process.execPath,
        [bundle],
        {
          cwd: root,
          env: { ...process.env, TAP_TIMEOUT: '170' },
          timeout: TIMEOUT_MS,
          maxBuffer: 1 << 28
        },
        (error, stdout, stderr) => resolve({ error, output: stdout + stderr })
      )
    })
    const summary = /^# \{ total: \d+.*\}$/m.exec(output)?.[0] ?? ''
    const passed = Number(/pass: (\d+)/.exec(summary)?.[1] ?? 0)
    const failed = Number(/fail: (\d+)/.exec(summary)?.[1] ?? 0)
    const wrong = error !== null || passed === 0
    console.log(`${wrong ? 'not ok' : 'ok'} ${process.version} ${name} ${summary}`)
    if (wrong) console.log(output, error?.message.split('\n')[0] ?? 'nothing was tested')
    return { passed, failed: wrong ? Math.max(failed, 1) : 0 }
  } finally {
    rmSync(bundle, { force: true })
  }
}
