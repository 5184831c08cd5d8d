import AjvCompiler from '@fastify/ajv-compiler'
import SerializerCompiler from '@fastify/fast-json-stringify-compiler'
import type { FastifyInstance, FastifySchemaCompiler, RouteOptions } from 'fastify'
import type { MessageCompilers, ValidateFunction } from '../messages/compilers.ts'

type Compile = FastifySchemaCompiler<object>

/**
 * The compilers for a route's message schemas: its own, or the instance's, so that any type provider works.
 *
 * Fastify's default validator coerces, fills in defaults and removes what it does not know, which is right for query
 * strings and wrong for messages. One that is seen to do so is replaced by a strict Ajv over the same shared schemas;
 * who wants coercion gives the route a `validatorCompiler`.
 */
export function buildMessageCompilers (instance: FastifyInstance, route: RouteOptions): MessageCompilers {
  const place = { method: 'GET', url: route.url, httpPart: 'websocket' }
  // Typed as always there; undefined until somebody sets it or a route needs it.
  const own = (route.validatorCompiler ?? instance.validatorCompiler) as Compile | undefined
  const faithful = own !== undefined && (route.validatorCompiler !== undefined || !alters(own))
  const compileWith = (compile: Compile) => (schema: object) => compile({ schema, ...place }) as ValidateFunction
  const serializerCompiler = (route.serializerCompiler ?? instance.serializerCompiler ?? SerializerCompiler()(instance.getSchemas(), {})) as
    (route: { schema: object, method: string, url: string, httpStatus: string }) => (message: unknown) => string
  return {
    validator: faithful ? compileWith(own) : compileWith(buildAjv(instance, false)),
    stripper: own !== undefined && !speaksJsonSchema(own) ? compileWith(own) : compileWith(buildAjv(instance, 'all')),
    serializer: (schema) => serializerCompiler({ schema, method: 'GET', url: route.url, httpStatus: 'websocket' })
  }
}

function buildAjv (instance: FastifyInstance, removeAdditional: false | 'all'): Compile {
  return AjvCompiler()(instance.getSchemas() as never, {
    customOptions: { coerceTypes: false, useDefaults: false, removeAdditional }
  } as never) as unknown as Compile
}

/** Tells whether a compiler's functions change what they check, by trying one for each way to. */
function alters (compile: Compile): boolean {
  return speaksJsonSchema(compile) && (
    isChanged(compile, { type: 'object', properties: { coerced: { type: 'integer' } } }, { coerced: '1' }) ||
    isChanged(compile, { type: 'object', properties: { filled: { type: 'integer', default: 1 } } }, {}) ||
    isChanged(compile, { type: 'object', properties: {}, additionalProperties: false }, { removed: 1 })
  )
}

function isChanged (compile: Compile, schema: object, data: object): boolean {
  const before = JSON.stringify(data)
  const result: unknown = run(compile, schema, data)
  const { value = data } = (typeof result === 'object' && result !== null ? result : {}) as { value?: unknown }
  return JSON.stringify(data) !== before || JSON.stringify(value) !== before
}

/** A compiler for another kind of schema (zod, say) takes JSON Schema for none: it throws, or refuses what matches. */
function speaksJsonSchema (compile: Compile): boolean {
  try {
    const accepts = (data: unknown): boolean => {
      const result: unknown = run(compile, { type: 'string' }, data)
      return result !== false && (result as { error?: unknown } | undefined)?.error === undefined
    }
    return accepts('a') && !accepts({})
  } catch {
    return false
  }
}

function run (compile: Compile, schema: object, data: unknown): unknown {
  return (compile({ schema, method: 'GET', url: '', httpPart: 'websocket' }) as (data: unknown) => unknown)(data)
}
