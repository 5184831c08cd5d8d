import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { build } from 'esbuild'
import t from 'tap'
import ts from 'typescript'

// Each block of TypeScript in docs/ is type-checked, JavaScript is not. The word behind the
// language says what the block is:
//
// - none: a module of its own, with its imports.
// - `[name.ts]`: a file of that name. Blocks of its page import it.
// - `run`: a module that is run, too. It ends by itself, and fails by its exit code.
// - `mistake`: lines of the file in test/types/mistakes/ that is linked above the block, which has
//   its errors checked by test/types/mistakes.test.ts.
// - any other: a fragment. It stands in place of `// FRAGMENT` in test/docs/fragments/<word>.txt.
//
// What a block imports by a relative path is a file of its page, or stands in
// test/docs/modules/<name>.txt. These are not named .ts: `npm run typecheck` would load the built
// package through them, beside src/, and merge the declarations of both.

const root = resolve(__dirname, '../..')
const docs = join(root, 'docs')
/** Nothing is written there: the compiler is given the blocks as files of this folder. */
const folder = join(__dirname, 'blocks')
const imported = readdirSync(join(__dirname, 'modules')).map((name) => name.replace(/\.txt$/, ''))

const options: ts.CompilerOptions = {
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  moduleDetection: ts.ModuleDetectionKind.Force,
  target: ts.ScriptTarget.ES2022,
  lib: ['lib.es2023.d.ts', 'lib.dom.d.ts'],
  strict: true,
  skipLibCheck: true,
  esModuleInterop: true,
  allowImportingTsExtensions: true,
  allowJs: true,
  noEmit: true,
  types: ['node']
}

interface Block {
  readonly page: string
  readonly language: string
  readonly line: number
  readonly word: string
  readonly text: string
  readonly before: string
}

const pages = (readdirSync(docs, { recursive: true }) as string[])
  .filter((name) => name.endsWith('.md') && !name.includes('node_modules'))
  .sort()
const blocks = pages.flatMap(blocksOf)
const modules = blocks.filter(({ word }) => word !== 'mistake')

void t.test('each block of TypeScript compiles', async (t) => {
  t.ok(modules.length >= 20, `${modules.length} blocks are found`)
  const files = new Map(modules.map((block) => [pathOf(block), sourceOf(block)]))
  for (const name of imported) {
    const text = readFileSync(join(__dirname, 'modules', `${name}.txt`), 'utf8')
    files.set(join(folder, `${name}.ts`), text)
  }
  const host = ts.createCompilerHost(options)
  const { fileExists, readFile, getSourceFile } = host
  const folders = new Set([...files.keys()].map(dirname))
  host.directoryExists = (path) => folders.has(path) || ts.sys.directoryExists(path)
  host.fileExists = (path) => files.has(path) || fileExists(path)
  host.readFile = (path) => files.get(path) ?? readFile(path)
  host.getSourceFile = (path, version, ...rest) => {
    const text = files.get(path)
    return text === undefined
      ? getSourceFile(path, version, ...rest)
      : ts.createSourceFile(path, text, version)
  }
  const program = ts.createProgram([...files.keys()], options, host)
  for (const block of modules) {
    const file = program.getSourceFile(pathOf(block))
    if (file === undefined) throw new Error(`${pathOf(block)} is not in the program`)
    const errors = [
      ...program.getSyntacticDiagnostics(file),
      ...program.getSemanticDiagnostics(file)
    ]
    t.same(errors.map((error) => textOf(error, file)), [], `docs/${block.page}:${block.line}`)
  }
})

void t.test('each block that is a program runs', async (t) => {
  const programs = blocks.filter(({ word }) => word === 'run')
  t.ok(programs.length > 0, `${programs.length} programs are found`)
  // In this folder, so that imports find the packages.
  const outdir = join(root, `.docs-${process.pid}`)
  await mkdir(outdir)
  t.teardown(() => rm(outdir, { recursive: true, force: true }))
  await Promise.all(programs.map(async (block) => {
    const outfile = join(outdir, `${modules.indexOf(block)}.mjs`)
    await build({
      stdin: { contents: block.text, loader: 'ts', resolveDir: outdir },
      outfile,
      bundle: true,
      platform: 'node',
      format: 'esm',
      packages: 'external'
    })
    const child = spawn(process.execPath, [outfile], {
      cwd: outdir,
      env: { PATH: process.env['PATH'] },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 15_000
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => { output += chunk })
    }
    const [code] = await once(child, 'close')
    t.equal(code, 0, `docs/${block.page}:${block.line}\n${code === 0 ? '' : output}`)
  }))
})

void t.test('each mistake that is shown stands in the file that is linked', async (t) => {
  for (const { page, line, text, before } of blocks.filter(({ word }) => word === 'mistake')) {
    const name = /mistakes\/([\w-]+\.ts)\)\s*$/.exec(before)?.[1] ?? 'no file is linked'
    const file = readFileSync(join(root, 'test/types/mistakes', name), 'utf8')
    const others = text.split('// …').map(squeeze).filter((each) => !squeeze(file).includes(each))
    t.same(others, [], `docs/${page}:${line}: ${name}`)
  }
})

function blocksOf (page: string): Block[] {
  const source = readFileSync(join(docs, page), 'utf8')
  return [...source.matchAll(/^```(ts|js)(?: (\S+))?\n([^]*?)\n```$/gm)]
    .map(({ 1: language = '', 2: word = '', 3: text = '', index }) => ({
      page,
      language,
      word,
      text,
      before: source.slice(0, index),
      line: source.slice(0, index).split('\n').length
    }))
}

function pathOf ({ page, language, line, word }: Block): string {
  const name = page.replace(/\.md$/, '')
  const named = /^\[(.+)\]$/.exec(word)?.[1]
  return named === undefined
    ? join(folder, `${name.replaceAll('/', '-')}-${line}.${language}`)
    : join(folder, name, named)
}

function sourceOf ({ word, text }: Block): string {
  if (word === '' || word === 'run' || word.startsWith('[')) return text
  const fragment = readFileSync(join(__dirname, 'fragments', `${word}.txt`), 'utf8')
  if (!fragment.includes('// FRAGMENT')) throw new Error(`${word}.txt has no // FRAGMENT`)
  return fragment.replace('// FRAGMENT', () => text)
}

function textOf ({ start = 0, messageText }: ts.Diagnostic, file: ts.SourceFile): string {
  const { line } = file.getLineAndCharacterOfPosition(start)
  const text = ts.flattenDiagnosticMessageText(messageText, '\n')
  return `${file.text.split('\n')[line]?.trim()}: ${text}`
}

function squeeze (text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim()
}
