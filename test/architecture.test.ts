import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import t from 'tap'
import ts from 'typescript'

const src = resolve(__dirname, '../src')

interface Import {
  readonly from: string
  readonly to: string
  readonly typeOnly: boolean
}

/**
 * The allowed imports of a layer: own files by their path below src, packages by name. `type:`
 * allows only types.
 */
interface Rule {
  readonly ours: readonly RegExp[]
  readonly others: readonly RegExp[]
}

const NODE = /^node:/
const RULES: Readonly<Record<string, Rule>> = {
  wire: { ours: [], others: [] },
  errors: { ours: [], others: [/^@fastify\/error$/] },
  'foreign-value': { ours: [], others: [] },
  log: { ours: [/^foreign-value$/], others: [] },
  telemetry: {
    ours: [/^errors$/, /^log$/, /^foreign-value$/, /^connection\/(handler|result)$/],
    others: [/^node:diagnostics_channel$/, /^type:node:http$/, /^type:fastify$/]
  },
  'event-loop': { ours: [], others: [] },
  'async-context': { ours: [], others: [/^node:async_hooks$/] },
  protocol: { ours: [/^wire\//], others: [/^node:(buffer|zlib)$/] },
  transport: {
    ours: [/^wire\//, /^protocol\//, /^errors$/, /^event-loop$/],
    others: [/^node:(net|stream)$/]
  },
  connection: {
    ours: [
      /^wire\//,
      /^transport\//,
      /^errors$/,
      /^log$/,
      /^foreign-value$/,
      /^event-loop$/,
      /^async-context$/,
      /^telemetry\//
    ],
    others: [NODE, /^type:fastify$/]
  },
  messages: {
    ours: [
      /^wire\//,
      /^errors$/,
      /^foreign-value$/,
      /^connection\/(handler|route-context|result)$/
    ],
    others: [/^node:util\/types$/, /^secure-json-parse$/]
  },
  engines: { ours: [/^errors$/, /^pubsub\/engine$/], others: [NODE] },
  pubsub: {
    ours: [
      /^wire\//,
      /^errors$/,
      /^log$/,
      /^async-context$/,
      /^connection\/system-message$/,
      /^telemetry\/(channels|stats)$/
    ],
    others: [NODE, /^secure-json-parse$/]
  },
  asyncapi: {
    ours: [
      /^wire\//,
      /^errors$/,
      /^messages\//,
      /^plugin\/(plugin|route)$/,
      /^connection\/handler$/
    ],
    others: [NODE, /^type:fastify$/, /^fastify-plugin$/]
  },
  client: { ours: [/^wire\//], others: [] },
  upgrade: {
    ours: [/^wire\//, /^protocol\//, /^errors$/, /^event-loop$/],
    others: [NODE, /^type:fastify$/]
  },
  plugin: {
    ours: [
      /^wire\//,
      /^errors$/,
      /^log$/,
      /^foreign-value$/,
      /^event-loop$/,
      /^upgrade\//,
      /^protocol\//,
      /^transport\//,
      /^connection\//,
      /^messages\//,
      /^pubsub\//,
      /^telemetry\//
    ],
    others: [
      NODE,
      /^type:fastify$/,
      /^fastify-plugin$/,
      /^find-my-way$/,
      /^@fastify\/(websocket|ajv-compiler|fast-json-stringify-compiler)$/
    ]
  },
  metrics: {
    ours: [/^errors$/, /^telemetry\/stats$/],
    others: [/^type:fastify$/, /^fastify-plugin$/, /^prom-client$/]
  },
  index: { ours: [/^(?!asyncapi\/|client\/|metrics\/|testing\/|engines\/)/], others: [] },
  testing: { ours: [/./], others: [NODE, /^(type:)?(ws|fastify)$/] }
}

const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => name.replaceAll('\\', '/'))
  .sort()
const imports = files.flatMap(readImports)

void t.test('each layer imports only what it may', async (t) => {
  t.ok(imports.length > 50, 'imports are found')
  t.same(
    files.filter((file) => RULES[layerOf(file)] === undefined),
    [],
    'each file belongs to a layer'
  )
  t.same(imports.filter((line) => !isAllowed(line)).map(show), [])
})

void t.test('there is no import circle, types included', async (t) => {
  t.same(findCircle(imports), [])
})

void t.test('no file except the entries only re-exports', async (t) => {
  const barrels = files.filter((file) => /^export (type )?(\*|\{[^}]*\}) from/m.test(read(file)))
  t.same(
    barrels.filter(
      (file) => !/^((asyncapi|client|metrics|testing|testing\/engines)\/)?index\.ts$/.test(file)
    ),
    []
  )
})

void t.test('a file has 400 lines at most', async (t) => {
  t.same(files.filter((file) => read(file).trimEnd().split('\n').length > 400), [])
})

void t.test('each folder has a README that names each of its files', async (t) => {
  const folders = [...new Set(files.map((file) => dirname(file)))].filter(
    (folder) => folder !== '.'
  )
  for (const folder of folders) {
    const readme = join(src, folder, 'README.md')
    const text = existsSync(readme) ? readFileSync(readme, 'utf8') : ''
    const own = files
      .filter((file) => dirname(file) === folder)
      .map((file) => file.slice(folder.length + 1))
    t.same(own.filter((file) => !text.includes(`\`${file}\``)), [], folder)
  }
})

void t.test('the rules of this test refuse forbidden imports', async (t) => {
  const refused: Import[] = [
    { from: 'wire/frame.ts', to: 'node:buffer', typeOnly: false },
    { from: 'wire/frame.ts', to: 'errors', typeOnly: false },
    { from: 'connection/connection.ts', to: 'plugin/route', typeOnly: true },
    { from: 'connection/connection.ts', to: 'pubsub/pubsub', typeOnly: false },
    { from: 'connection/connection.ts', to: 'fastify', typeOnly: false },
    { from: 'messages/receive.ts', to: 'connection/connection', typeOnly: false },
    { from: 'client/client.ts', to: 'node:events', typeOnly: false },
    { from: 'plugin/plugin.ts', to: 'client/client', typeOnly: false },
    { from: 'plugin/plugin.ts', to: 'asyncapi/asyncapi', typeOnly: false },
    { from: 'asyncapi/document.ts', to: 'plugin/drain', typeOnly: false },
    { from: 'index.ts', to: 'asyncapi/index', typeOnly: false },
    { from: 'index.ts', to: 'testing/index', typeOnly: false }
  ]
  t.same(refused.filter(isAllowed).map(show), [])
  const line = (from: string, to: string): Import => ({ from: `${from}.ts`, to, typeOnly: false })
  t.same(findCircle([line('a', 'b'), line('b', 'c'), line('c', 'b')]), ['b', 'c', 'b'])
  t.same(findCircle([line('a', 'b'), line('a', 'c'), line('b', 'd'), line('c', 'd')]), [])
})

function read (file: string): string {
  return readFileSync(join(src, file), 'utf8')
}

function layerOf (file: string): string {
  return (file.includes('/') ? file.split('/')[0] : file.replace(/\.ts$/, '')) ?? ''
}

/**
 * Every import, re-export and `import()` of a file: own files by their path below src without
 * `.ts`, packages by name.
 */
function readImports (file: string): Import[] {
  const found: Import[] = []
  const add = (specifier: string, typeOnly: boolean): void => {
    const to = specifier.startsWith('.')
      ? relative(src, resolve(src, dirname(file), specifier))
        .replaceAll('\\', '/')
        .replace(/\.ts$/, '')
      : specifier
    found.push({ from: file, to, typeOnly })
  }
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
      add(node.moduleSpecifier.text, isTypeImport(node))
    } else if (
      ts.isExportDeclaration(node) &&
      node.moduleSpecifier !== undefined &&
      ts.isStringLiteral(node.moduleSpecifier)
    ) {
      add(node.moduleSpecifier.text, node.isTypeOnly)
    } else if (
      ts.isImportTypeNode(node) &&
      ts.isLiteralTypeNode(node.argument) &&
      ts.isStringLiteral(node.argument.literal)
    ) {
      add(node.argument.literal.text, true)
    } else if (
      ts.isCallExpression(node) &&
      /^(import|require)$/.test(node.expression.getText()) &&
      node.arguments[0] !== undefined
    ) {
      add(node.arguments[0].getText().slice(1, -1), false)
    }
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(file, read(file), ts.ScriptTarget.ES2022, true))
  return found
}

/** Tells whether an import is of types only: `import type`, or `type` before each name. */
function isTypeImport ({ importClause }: ts.ImportDeclaration): boolean {
  if (importClause === undefined) return false
  if (importClause.isTypeOnly) return true
  const { name, namedBindings } = importClause
  return (
    name === undefined &&
    namedBindings !== undefined &&
    ts.isNamedImports(namedBindings) &&
    namedBindings.elements.every((element) => element.isTypeOnly)
  )
}

function isAllowed ({ from, to, typeOnly }: Import): boolean {
  const layer = layerOf(from)
  const rule = RULES[layer]
  if (rule === undefined) return false
  const ours = files.includes(`${to}.ts`) || RULES[layerOf(to)] !== undefined
  if (ours) return layerOf(to) === layer || rule.ours.some((pattern) => pattern.test(to))
  return rule.others.some((pattern) => pattern.test(to) || (typeOnly && pattern.test(`type:${to}`)))
}

/** The files of the first circle, with the first file repeated at the end. Empty without one. */
function findCircle (lines: readonly Import[]): string[] {
  const targets = new Map<string, string[]>()
  for (const { from, to } of lines) {
    targets.set(from.replace(/\.ts$/, ''), [...(targets.get(from.replace(/\.ts$/, '')) ?? []), to])
  }
  const done = new Set<string>()
  const search = (file: string, path: readonly string[]): string[] => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file]
    if (done.has(file)) return []
    for (const target of targets.get(file) ?? []) {
      const circle = search(target, [...path, file])
      if (circle.length > 0) return circle
    }
    done.add(file)
    return []
  }
  for (const file of targets.keys()) {
    const circle = search(file, [])
    if (circle.length > 0) return circle
  }
  return []
}

function show ({ from, to, typeOnly }: Import): string {
  return `${from} imports ${typeOnly ? 'types of ' : ''}${to}`
}
