import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import ts from 'typescript'

const root = resolve(__dirname, '../..')
const folder = join(__dirname, 'mistakes')
const names = readdirSync(folder)
  .filter((name) => name.endsWith('.ts'))
  .map((name) => name.slice(0, -3))
  .sort()
const page = readFileSync(join(root, 'docs/type-errors.md'), 'utf8')

const MAX_LINES = 5
const MAX_INSTANTIATIONS = 430_000

/** As in a project that uses the package. */
const options: ts.CompilerOptions = {
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  target: ts.ScriptTarget.ES2022,
  strict: true,
  skipLibCheck: true,
  noEmit: true,
  types: ['node'],
  paths: { 'fastify-websock': [join(root, 'index.d.ts')] }
}

/** The programs of this file share what they read: the types of Fastify, Node and the package. */
const host = ts.createCompilerHost(options)
const read = host.getSourceFile.bind(host)
const sources = new Map<string, ts.SourceFile | undefined>()
host.getSourceFile = (name, ...rest) => {
  if (!sources.has(name)) sources.set(name, read(name, ...rest))
  return sources.get(name)
}

void t.test('each mistake has the error text that its file ends with', async (t) => {
  const program = ts.createProgram(names.map(pathOf), options, host)
  t.ok(names.length >= 25, 'the files are found')
  for (const name of names) t.equal(errorsOf(program, name), expectedOf(name), name)
})

void t.test('docs/type-errors.md shows ten mistakes, each with at most five lines', async (t) => {
  const link = /^`test\/types\/mistakes\/([\w-]+)\.ts`$[^]*?```text\n([^]*?)\n```/gm
  const shown = [...page.matchAll(link)]
  t.equal(shown.length, 10)
  for (const [, name = '', text = ''] of shown) {
    const errors = expectedOf(name).replace(/^\d+:\d+ /gm, '')
    t.equal(text, errors, name)
    t.ok(text.split('\n').length <= MAX_LINES, `${name} has at most ${MAX_LINES} lines`)
  }
})

void t.test('an app of twelve routes costs at most 430 000 instantiations', async (t) => {
  const path = join(folder, 'twelve-routes.ts')
  host.fileExists = (name) => name === path || ts.sys.fileExists(name)
  sources.set(path, ts.createSourceFile(path, twelveRoutes(), ts.ScriptTarget.ES2022))
  const program = ts.createProgram([path], options, host)
  t.same(
    program
      .getSemanticDiagnostics()
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n')),
    []
  )
  const count = program.getInstantiationCount()
  t.ok(count > 200_000, `${count}: the routes were checked`)
  t.ok(count <= MAX_INSTANTIATIONS, `${count} instantiations`)
})

function pathOf (name: string): string {
  return join(folder, `${name}.ts`)
}

/** `line:column text` of each error. */
function errorsOf (program: ts.Program, name: string): string {
  const file = program.getSourceFile(pathOf(name))
  if (file === undefined) throw new Error(`${name} is not in the program`)
  const diagnostics = [
    ...program.getSyntacticDiagnostics(file),
    ...program.getSemanticDiagnostics(file)
  ]
  return diagnostics.map(({ start = 0, messageText }) => {
    const { line, character } = file.getLineAndCharacterOfPosition(start)
    return `${line + 1}:${character + 1} ${ts.flattenDiagnosticMessageText(messageText, '\n')}`
  }).join('\n')
}

function expectedOf (name: string): string {
  const text = readFileSync(pathOf(name), 'utf8')
  return /\/\*\n([^]*)\n\*\/\n$/.exec(text)?.[1] ?? 'a comment with the error text'
}

/** Ten messages each way, declared in three ways. */
function twelveRoutes (): string {
  const ten = Array.from({ length: 10 }, (_, n) => n)
  const union = (name: string, route: number): string => `Type.Union([${ten.map((n) =>
    `Type.Object({ event: Type.Literal('${name}${n}'), text: Type.String(), at: ` +
    `Type.Optional(Type.Integer()), n${route}: Type.Integer() })`).join(', ')}])`
  const on = (route: number): string => ten.map((n) =>
    `in${n}: ({ text }, state, ws) => ws.push({ event: 'out${n}', text: state.room + text, ` +
    `n${route}: state.n }, { ...state, n: state.n + 1 })`).join(',\n')
  const route = (n: number): string => `
    schema: {
      params: Type.Object({ room: Type.String() }),
      headers: Type.Object({ 'X-Trace': Type.String(), 'X-User': Type.Optional(Type.String()) }),
      querystring: Type.Object({ since: Type.Optional(Type.Integer()) }),
      websocket: {
        receive: ${union('in', n)},
        send: ${union('out', n)},
        info: Type.Object({ tick: Type.Integer() })
      }
    },
    websocketHandler: {
      init: ({ params, query }, ws) => ws.ok({ room: params.room, since: query.since, n: 0 }),
      on: { event: { ${on(n)} } },
      handleInfo: ({ tick }, _state, ws) => ws.push({ event: 'out0', text: '', n${n}: tick }),
      terminate (reason, state, ws) { ws.log.info({ reason, n: state.n }) }
    }`
  const mounts = [
    (n: number) => `app.get('/${n}/:room', {${route(n)}})`,
    (n: number) => `app.route({ method: 'GET', url: '/${n}/:room', onRequest: async () => ` +
      `{},${route(n)}})`,
    (n: number) => `app.get('/${n}/:room', defineWebsocketRoute({${route(n)}}))`
  ]
  return `import Fastify from 'fastify'
    import websock, { withTypeProvider } from 'fastify-websock'
    import { Type } from 'typebox'
    import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
    const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()
    await app.register(websock)
    const { defineWebsocketRoute } = withTypeProvider<TypeBoxTypeProvider>()
    ${Array.from({ length: 12 }, (_, n) => mounts[n % 3]?.(n)).join('\n')}`
}
