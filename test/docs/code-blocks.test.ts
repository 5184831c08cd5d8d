import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import t from 'tap'
import ts from 'typescript'

// Each block of TypeScript and of JavaScript in docs/ and in the pages of the root is type-checked.
// The word after the language is the kind of the block:
//
// - none: a separate module, with its imports.
// - `[name.ts]`: a file of that name. Blocks of its page import it.
// - `example`: the whole file of example/ that is named above the block. `npm run typecheck`
//   checks that file, and a test of test/example/ runs it.
// - `mistake`: lines of the file in test/types/mistakes/ that is named above the block, which has
//   its errors checked by test/types/mistakes.test.ts.
// - any other: a fragment. It replaces `// FRAGMENT` in test/docs/fragments/<word>.txt.
//
// A relative import of a block is a file of its page, or test/docs/modules/<name>.txt. These are
// not named .ts, because `npm run typecheck` would load the built package through them, beside
// src/, and merge the declarations of both.

const root = resolve(__dirname, '../..')
/** The blocks that are not checked here, by page and number, with the place of their check. */
const ELSEWHERE = new Map([
  ['README.md 1', 'docs/readme.test.ts runs it; below it is checked with a type provider'],
  ['README.md 2', 'docs/readme.test.ts runs it; below it is checked with a type provider'],
  ['README.md 3', 'docs/readme.test.ts runs it, unchanged and broken'],
  ['docs/observing.md 4', 'telemetry/opentelemetry.test.ts runs it; channels need annotations']
])
/** The languages of blocks without code of this library. */
const OTHER_LANGUAGES = ['', 'json', 'nginx', 'promql', 'sh', 'text']
/** The compiler gets the blocks as files of this folder. No file is written. */
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
  checkJs: true,
  noEmit: true,
  types: ['node']
}

interface Block {
  /** The path from the root. */
  readonly page: string
  /** The number of the block among the page's blocks of code. */
  readonly number: number
  readonly language: string
  readonly line: number
  readonly word: string
  readonly text: string
  readonly before: string
}

const docs = readdirSync(join(root, 'docs'), { recursive: true }) as string[]
const pages = [...readdirSync(root), ...docs.map((name) => `docs/${name}`)]
  .filter((name) => name.endsWith('.md') && !name.includes('node_modules'))
  .sort()
const blocks = pages.flatMap(blocksOf)
const modules = blocks.filter((block) =>
  block.word !== 'mistake' && block.word !== 'example' && !ELSEWHERE.has(keyOf(block)))

const [timer = '', room = ''] = blocks
  .filter(({ page, text }) => page === 'README.md' && text.includes('app.listen'))
  .map(({ text }) => text)
const wrong = room.replace('from: nick', 'from: 1').replace("event: 'here'", "event: 'gone'")
/** The examples of README.md, as TypeScript with the type provider of TypeBox. */
const typed = (name: string): string => join(folder, `readme-${name}.ts`)
const withProvider = Object.entries({ timer, room, wrong }).map(([name, example]) => [
  typed(name),
  "import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'\n" +
    example.replace('logger: true })', '$&.withTypeProvider<TypeBoxTypeProvider>()')
] as const)

const files = new Map([
  ...modules.map((block) => [pathOf(block), sourceOf(block)] as const),
  ...imported.map((name) => [
    join(folder, `${name}.ts`),
    readFileSync(join(__dirname, 'modules', `${name}.txt`), 'utf8')
  ] as const),
  ...withProvider
])
const program = createProgram()

void t.test('each block has a language that is checked, or that is not code', async (t) => {
  for (const page of pages) {
    const source = readFileSync(join(root, page), 'utf8')
    for (const [fence, language = ''] of source.matchAll(/^ *(?:```+|~~~+) *(\S*)/gm)) {
      const isChecked = fence === '```ts' || fence === '```js'
      t.ok(isChecked || OTHER_LANGUAGES.includes(language), `${page}: ${fence}`)
    }
  }
  const keys = blocks.map(keyOf)
  t.same([...ELSEWHERE.keys()].filter((key) => !keys.includes(key)), [], 'blocks that are gone')
})

void t.test('each block of TypeScript or JavaScript compiles', async (t) => {
  t.ok(modules.length >= 20, `${modules.length} blocks are found`)
  for (const block of modules) {
    t.same(errorsOf(pathOf(block)), [], `${block.page}:${block.line}`)
  }
})

void t.test('with a type provider both examples of README.md are typed', async (t) => {
  t.not(timer, room)
  t.same([errorsOf(typed('timer')), errorsOf(typed('room'))], [[], []])
  t.not(wrong, room)
  t.match(errorsOf(typed('wrong')), [/"gone"/], 'a wrong push is an error')
})

void t.test('each shown mistake is in the named file', async (t) => {
  for (const { page, line, text, before } of blocks.filter(({ word }) => word === 'mistake')) {
    const name = /`test\/types\/mistakes\/([\w-]+\.ts)`\s*$/.exec(before)?.[1] ?? 'no file is named'
    const file = readFileSync(join(root, 'test/types/mistakes', name), 'utf8')
    const others = text.split('// …').map(squeeze).filter((each) => !squeeze(file).includes(each))
    t.same(others, [], `${page}:${line}: ${name}`)
  }
})

void t.test('each shown example is the named file', async (t) => {
  const examples = blocks.filter(({ word }) => word === 'example')
  t.ok(examples.length > 0, `${examples.length} examples are found`)
  for (const { page, line, text, before } of examples) {
    const name = /`(example\/[\w/-]+\.ts)`[^`]*$/.exec(before)?.[1] ?? 'no file is named'
    const file = readFileSync(join(root, name), 'utf8')
    t.equal(text, file.trimEnd(), `${page}:${line}: ${name}`)
    t.ok(text.split('\n').length <= 60, `${name} has at most 60 lines`)
  }
})

function createProgram (): ts.Program {
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
  return ts.createProgram([...files.keys()], options, host)
}

/** The line and the text of each error in a file of the program. */
function errorsOf (path: string): string[] {
  const file = program.getSourceFile(path)
  if (file === undefined) throw new Error(`${path} is not in the program`)
  return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]
    .map((error) => textOf(error, file))
}

function blocksOf (page: string): Block[] {
  const source = readFileSync(join(root, page), 'utf8')
  return [...source.matchAll(/^```(ts|js)(?: (\S+))?\n([^]*?)\n```$/gm)]
    .map(({ 1: language = '', 2: word = '', 3: text = '', index }, n) => ({
      page,
      number: n + 1,
      language,
      word,
      text,
      before: source.slice(0, index),
      line: source.slice(0, index).split('\n').length
    }))
}

function keyOf ({ page, number }: Block): string {
  return `${page} ${number}`
}

function pathOf ({ page, language, line, word }: Block): string {
  const name = page.replace(/\.md$/, '')
  const named = /^\[(.+)\]$/.exec(word)?.[1]
  return named === undefined
    ? join(folder, `${name.replaceAll('/', '-')}-${line}.${language}`)
    : join(folder, name, named)
}

function sourceOf ({ word, text }: Block): string {
  if (word === '' || word.startsWith('[')) return text
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
