import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import t from 'tap'
import ts from 'typescript'
import { LONG } from '../helpers/scale.ts'

const execute = promisify(execFile)
const root = resolve(__dirname, '../..')
const modules = join(root, 'node_modules')
const fixtures = join(__dirname, 'consumers')
// The packages that a consumer installs itself. All others must be in `dependencies`. `ws` is for
// the client on Node 20, `prom-client` for the metrics.
const CONSUMER = ['fastify', '@types/node', 'ws', '@types/ws', 'prom-client']

const { ModuleKind, ModuleResolutionKind } = ts
const SHORT = LONG ? false : 'in the long run; the types are compiled below'
/** `npm test` checks only the oldest way. The import styles below use `nodenext`. */
const RESOLUTIONS: Record<string, ts.CompilerOptions> = {
  node10: { module: ModuleKind.CommonJS, moduleResolution: ModuleResolutionKind.Node10 },
  ...(LONG && {
    node16: { module: ModuleKind.Node16, moduleResolution: ModuleResolutionKind.Node16 },
    nodenext: { module: ModuleKind.NodeNext, moduleResolution: ModuleResolutionKind.NodeNext },
    bundler: { module: ModuleKind.ESNext, moduleResolution: ModuleResolutionKind.Bundler }
  })
}

interface Target {
  types?: string
  default: string | Target
}

/** The types of an entry for `require`, as node10 resolves it. */
function typesOf ({ types, default: fallback }: Target): string | undefined {
  return types ?? (typeof fallback === 'object' ? fallback.types : undefined)
}

interface Packed {
  tarball: string
  size: number
  unpackedSize: number
}

interface Manifest {
  files: string[]
  dependencies: Record<string, string>
  exports: Record<string, string | Target>
  typesVersions: { '*': Record<string, string[]> }
}

void t.test('the package', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'fastify-websock-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as Manifest
  const { tarball, size, unpackedSize } = await pack(dir, manifest)

  await t.test('is well formed for publint', async (t) => {
    await t.resolves(
      run(process.execPath, [join(modules, 'publint/src/cli.js'), '--strict', tarball])
    )
  })

  await t.test('has types for attw, in all ways to resolve them', { skip: SHORT }, async (t) => {
    const { stdout } = await run(process.execPath, [
      join(modules, '@arethetypeswrong/cli/dist/index.js'),
      tarball,
      '--format',
      'json'
    ])
    const { analysis, problems } = JSON.parse(stdout) as {
      analysis: { types: { kind: string } }
      problems: Record<string, unknown[]>
    }
    t.equal(analysis.types.kind, 'included')
    t.same(Object.values(problems).flat(), [])
  })

  await install(dir, tarball, Object.keys(manifest.dependencies))

  await t.test('has the built files, the two entries and no sources', async (t) => {
    const files = await readdir(join(dir, 'node_modules/fastify-websock'))
    for (const name of ['LICENSE', 'dist', 'index.d.ts', 'index.js', 'package.json']) {
      t.ok(files.includes(name), name)
    }
    t.notOk(
      files.some((name) => ['src', 'test', 'example', 'bench', 'tsconfig.json'].includes(name)),
      files.join(' ')
    )
  })

  await t.test('is as large as README.md says, and no larger', async (t) => {
    const readme = await readFile(join(root, 'README.md'), 'utf8')
    const [, packed, unpacked] = /(\d+) kB packed, (\d+) kB unpacked/.exec(readme) ?? []
    for (const [stated, bytes] of [[packed, size], [unpacked, unpackedSize]] as const) {
      const limit = Number(stated) * 1000
      t.ok(bytes <= limit, `${bytes} bytes, ${limit} are stated`)
      t.ok(bytes > limit * 0.85, `${bytes} bytes, ${limit} are stated`)
    }
  })

  await t.test('has the pages that README.md links to, and the recipes', async (t) => {
    const files = await readdir(join(dir, 'node_modules/fastify-websock'), { recursive: true })
    t.ok(files.includes('docs/recipes/auth.md'))
    const readme = await readFile(join(dir, 'node_modules/fastify-websock/README.md'), 'utf8')
    const links = [...readme.matchAll(/\]\(([^):#]+)[^)]*\)/g)]
      .map(([, path = '']) => path)
      .filter((path) => !/^https?$/.test(path))
    t.ok(links.length > 20)
    for (const path of links) t.ok(files.includes(path), path)
  })

  await t.test('has a client that can be bundled for browsers, without the server', async (t) => {
    const { metafile, outputFiles } = await build({
      stdin: { contents: "export * from 'fastify-websock/client'", resolveDir: dir },
      bundle: true,
      platform: 'browser',
      format: 'esm',
      metafile: true,
      write: false
    })
    const files = Object.keys(metafile.inputs).filter((name) => name !== '<stdin>')
    t.match(files, [/fastify-websock\/dist\/client\/index\.mjs$/])
    t.equal(files.length, 1)
    t.match(outputFiles[0]?.text, /connect/)
  })

  await t.test('has the types of each entry, however TypeScript resolves modules', async (t) => {
    await cp(join(fixtures, 'every-entry.cts'), join(dir, 'every-entry.cts'))
    for (const [resolution, options] of Object.entries(RESOLUTIONS)) {
      const problems = typeCheck([join(dir, 'every-entry.cts')], {
        ...options,
        ignoreDeprecations: '6.0',
        noEmit: true,
        strict: true,
        skipLibCheck: true,
        target: ts.ScriptTarget.ES2022,
        types: ['node']
      })
      t.equal(problems, '', resolution)
    }
    const { exports, typesVersions } = manifest
    const entries = Object.entries(exports).flatMap(([name, target]) =>
      typeof target === 'object' && name !== '.' ? [[name.slice(2), [typesOf(target)]]] : []
    )
    t.same(
      typesVersions['*'],
      Object.fromEntries(entries),
      'the same files for node10 as for the others'
    )
  })

  await t.test(
    'type-checks in every import style, also its own declarations, and runs',
    async (t) => {
      await cp(fixtures, dir, { recursive: true })
      const config = ts.getParsedCommandLineOfConfigFile(join(dir, 'tsconfig.json'), undefined, {
        ...ts.sys,
        onUnRecoverableConfigFileDiagnostic: (problem) => t.fail(textOf([problem]))
      })
      const { fileNames = [], options = {} } = config ?? {}
      t.equal(typeCheck(fileNames, options), '')
      await mkdir(join(dir, 'out'))
      await compile(fileNames, options)
      const styles = (await readdir(fixtures))
        .filter((name) => /^(esm|cjs)-/.test(name))
        .map((name) => name.replace(/ts$/, 'js'))
      t.same(styles.sort(), [
        'cjs-client.cjs',
        'cjs-entries.cjs',
        'cjs-import-equals.cjs',
        'cjs-import.cjs',
        'cjs-require.cjs',
        'esm-client.mjs',
        'esm-default.mjs',
        'esm-entries.mjs',
        'esm-named.mjs',
        'esm-namespace.mjs',
        'esm-types.mjs'
      ])
      await Promise.all(
        styles.map(async (style) => {
          const { stdout } = await run(process.execPath, [join(dir, 'out', style)])
          t.equal(stdout, '"HI"', style)
        })
      )
    }
  )
})

void t.test(
  'client.d.mts exports exactly the names of src/client/index.ts',
  async (t) => {
    const source = await readFile(join(root, 'src/client/index.ts'), 'utf8')
    const declared = await readFile(join(root, 'client.d.mts'), 'utf8')
    for (const kind of ['type', ''] as const) {
      t.same(exportedNames(declared, kind), exportedNames(source, kind))
    }
  }
)

void t.test(
  'index.d.ts and index.js export exactly the names of src/index.ts',
  async (t) => {
    const source = await readFile(join(root, 'src/index.ts'), 'utf8')
    const declared = await readFile(join(root, 'index.d.ts'), 'utf8')
    const given = await readFile(join(root, 'index.js'), 'utf8')
    const namespace = /declare namespace websock \{([^]*?)\n\}/.exec(declared)?.[1] ?? ''
    t.same(exportedNames(namespace, 'type'), exportedNames(source, 'type'))
    t.same(
      [...exportedNames(namespace, ''), ...namespace.matchAll(/export const (\w+)/g)]
        .map((name) => (Array.isArray(name) ? name[1] : name))
        .sort(),
      exportedNames(source, '')
    )
    t.same(
      [...given.matchAll(/module\.exports\.(\w+) =/g)].map(([, name]) => name).sort(),
      exportedNames(source, '')
    )
  }
)

/**
 * The type errors in these files and in the package's declarations. Other declarations are not
 * checked. Runs in this process, because another one would take seconds to compile tsc.
 */
function typeCheck (files: readonly string[], options: ts.CompilerOptions): string {
  const program = ts.createProgram(files, options)
  const checked = program.getSourceFiles().filter(({ fileName }) =>
    files.includes(fileName) || fileName.includes('/node_modules/fastify-websock/'))
  return textOf([
    ...program.getOptionsDiagnostics(),
    ...checked.flatMap((file) => [
      ...program.getSyntacticDiagnostics(file),
      ...program.getSemanticDiagnostics(file)
    ])
  ])
}

/** Writes the JavaScript of these files. `program.emit()` would check all other declarations. */
async function compile (files: readonly string[], options: ts.CompilerOptions): Promise<void> {
  for (const fileName of files) {
    const source = await readFile(fileName, 'utf8')
    const { outputText } = ts.transpileModule(source, { fileName, compilerOptions: options })
    const name = basename(fileName).replace(/ts$/, 'js')
    await writeFile(join(`${options.outDir}`, name), outputText)
  }
}

function textOf (problems: readonly ts.Diagnostic[]): string {
  return ts.formatDiagnostics(problems, {
    getCanonicalFileName: (name) => name,
    getCurrentDirectory: () => root,
    getNewLine: () => '\n'
  })
}

function run (
  command: string,
  args: readonly string[],
  cwd = root
): Promise<{ stdout: string, stderr: string }> {
  // Without the variables of tap, which would measure the coverage of each child and slow it down.
  return execute(command, args, {
    cwd,
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'] },
    maxBuffer: 64 * 1024 * 1024
  })
}

/**
 * Packs a copy of the result of `npm run build`, without old files and other builds in dist.
 */
async function pack (dir: string, { files }: Manifest): Promise<Packed> {
  const stage = join(dir, 'stage')
  await mkdir(stage)
  const top = await readdir(root)
  const copied = [
    'package.json',
    ...files.filter((name) => name !== 'dist' && !name.includes('*')),
    ...top.filter((name) => /^(LICENSE|README)/.test(name))
  ]
  for (const name of copied.filter((name) => top.includes(name))) {
    await cp(join(root, name), join(stage, name))
  }
  await cp(join(root, 'dist'), join(stage, 'dist'), { recursive: true, filter: hasSource })
  for (const folder of ['docs', 'docs/recipes']) {
    await mkdir(join(stage, folder))
    const pages = (await readdir(join(root, folder))).filter((name) => name.endsWith('.md'))
    for (const name of pages) await cp(join(root, folder, name), join(stage, folder, name))
  }
  const { stdout } = await run(
    'npm',
    ['pack', '--json', '--ignore-scripts', '--pack-destination', dir],
    stage
  )
  const [{ filename, size, unpackedSize }] = JSON.parse(stdout) as [
    { filename: string, size: number, unpackedSize: number }
  ]
  return { tarball: join(dir, filename), size, unpackedSize }
}

/** Tells whether a file or folder of dist was compiled, bundled or copied from one of src. */
function hasSource (path: string): boolean {
  const source = join(root, 'src', relative(join(root, 'dist'), path))
  return existsSync(source) || existsSync(source.replace(/(\.d\.ts|\.m?js)$/, '.ts'))
}

/**
 * Installs the package like `npm install`, without the network. Only packages that it names can be
 * found.
 */
async function install (
  dir: string,
  tarball: string,
  dependencies: readonly string[]
): Promise<void> {
  const target = join(dir, 'node_modules/fastify-websock')
  await mkdir(target, { recursive: true })
  await run('tar', ['-xzf', tarball, '-C', target, '--strip-components=1'])
  for (const name of [...dependencies, ...CONSUMER]) {
    await mkdir(dirname(join(dir, 'node_modules', name)), { recursive: true })
    await symlink(join(modules, name), join(dir, 'node_modules', name))
  }
}

function exportedNames (text: string, kind: 'type' | ''): string[] {
  const lists = [...text.matchAll(/export (type )?\{([^}]*)\}/g)].filter(
    ([, type]) => (type?.trim() ?? '') === kind
  )
  return lists
    .flatMap(([, , names]) =>
      (names ?? '').split(',').map((name) => name.trim().replace(/^.* as /, ''))
    )
    .filter((name) => name !== '')
    .sort()
}
