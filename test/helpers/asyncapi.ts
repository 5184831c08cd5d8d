import { createRequire } from 'node:module'
import { Parser } from '@asyncapi/parser'
import websock from '../../src/index.ts'
import { asyncapi, type AsyncApiDocument, type AsyncApiOptions } from '../../src/asyncapi/index.ts'
import { buildApp, type App, type Teardown } from './server.ts'

/** Builds an app with these routes, and its AsyncAPI document. */
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
 * Caches the compiled schemas of AsyncAPI: Spectral, in the parser, would compile them again for
 * each document, which takes a second.
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

/** The diagnostics of AsyncAPI's parser, also hints. Empty when the document is valid. */
export async function diagnose (document: string | object): Promise<string[]> {
  const { diagnostics, document: parsed } = await parser.parse(
    typeof document === 'string' ? document : JSON.stringify(document)
  )
  const found = diagnostics.map(
    ({ code, message, path }) => `${String(code)} at ${path.join('/')}: ${message}`
  )
  return parsed === undefined ? [...found, 'not parsed'] : found
}
