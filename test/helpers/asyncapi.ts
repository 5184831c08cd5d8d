import { createRequire } from 'node:module'
import { Parser } from '@asyncapi/parser'
import websock from '../../src/index.ts'
import { asyncapi, type AsyncApiDocument, type AsyncApiOptions } from '../../src/asyncapi/index.ts'
import { buildApp, type App, type Teardown } from './server.ts'

/** The document of these routes, and the app that made it. */
export async function describe (
  t: Teardown,
  routes: (app: App) => unknown,
  options: AsyncApiOptions = {}
): Promise<{ app: App, document: AsyncApiDocument }> {
  const { app } = buildApp(t)
  await app.register(websock)
  await app.register(asyncapi, options)
  await routes(app)
  await app.ready()
  return { app, document: app.asyncapi() }
}

const parser = new Parser()

interface Compiler { compile (schema: { $id?: string }, meta?: boolean): unknown }

/**
 * Spectral, in the parser, compiles AsyncAPI's own schemas again for each document, which takes a
 * second: here once.
 */
const { prototype } = (
  createRequire(require.resolve('@stoplight/spectral-functions'))('ajv') as {
    default: { prototype: Compiler }
  }
).default
const { compile } = prototype
const compiled = new Map<string, unknown>()
prototype.compile = function (schema, meta) {
  const { $id = '' } = schema
  if (!$id.startsWith('http://asyncapi.com/')) return compile.call(this, schema, meta)
  if (!compiled.has($id)) compiled.set($id, compile.call(this, schema, meta))
  return compiled.get($id)
}

/** All that AsyncAPI's own parser has to say, hints too; nothing when the document is valid. */
export async function diagnose (document: string | object): Promise<string[]> {
  const { diagnostics, document: parsed } = await parser.parse(
    typeof document === 'string' ? document : JSON.stringify(document)
  )
  const found = diagnostics.map(
    ({ code, message, path }) => `${String(code)} at ${path.join('/')}: ${message}`
  )
  return parsed === undefined ? [...found, 'not parsed'] : found
}
