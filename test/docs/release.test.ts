import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { linksOf, readPage, ROOT } from './pages.ts'

interface Manifest {
  version: string
  scripts: Record<string, string>
  packages: Record<string, Manifest>
  peerDependencies: unknown
}

const manifest = JSON.parse(readPage('package.json')) as Manifest

void t.test('package.json, package-lock.json and CHANGELOG.md have one version', async (t) => {
  const lock = JSON.parse(readPage('package-lock.json')) as Manifest
  const [, newest] = /^## (\S+)/m.exec(readPage('CHANGELOG.md')) ?? []
  const { version, peerDependencies } = manifest
  t.same([lock.version, lock.packages['']?.version, newest], [version, version, version])
  t.same(lock.packages['']?.peerDependencies, peerDependencies)
})

void t.test('CONTRIBUTING.md names files and scripts that exist', async (t) => {
  const page = readPage('CONTRIBUTING.md')
  let found = 0
  let folder = ''
  for (const [, text = ''] of page.matchAll(/`([^`\n]+)`/g)) {
    const path = /^(src|test|docs|example|scripts)\/[\w./-]*$/.test(text)
      ? text
      : /^[\w-]+\.ts$/.test(text) ? join(folder, text) : undefined
    if (path === undefined) continue
    found++
    t.ok(existsSync(join(ROOT, path)), path)
    folder = path.endsWith('/') ? path : dirname(path)
  }
  t.ok(found > 40, `${found} paths`)
  for (const { path } of linksOf('CONTRIBUTING.md')) t.ok(existsSync(join(ROOT, path)), path)
  for (const [, script = ''] of page.matchAll(/npm run ([\w:-]+)/g)) {
    t.ok(manifest.scripts[script], `npm run ${script}`)
  }
  for (const [, file = ''] of page.matchAll(/npx tap (?:--\S+ )*(test\/\S+\.ts)/g)) {
    t.ok(existsSync(join(ROOT, file)), file)
  }
})

void t.test('the workflow runs .ci/run, and the templates are valid YAML', async (t) => {
  const workflow = parse(readPage('.github/workflows/ci.yml')) as {
    jobs: Record<string, { steps: Array<{ run?: string }> }>
  }
  const commands = Object.values(workflow.jobs).flatMap(({ steps }) => steps.map(({ run }) => run))
  t.ok(commands.includes('bash .ci/run'))
  t.ok(existsSync(join(ROOT, '.ci/run')))
  for (const name of readdirSync(join(ROOT, '.github/ISSUE_TEMPLATE'))) {
    t.type(parse(readPage(`.github/ISSUE_TEMPLATE/${name}`)), Object, name)
  }
})
