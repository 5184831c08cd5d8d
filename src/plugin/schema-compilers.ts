import AjvCompiler from '@fastify/ajv-compiler'
import SerializerCompiler from '@fastify/fast-json-stringify-compiler'
import type { FastifyInstance, FastifySchemaCompiler, RouteOptions } from 'fastify'
import { ignoreRejection, isThenable } from '../foreign-value.ts'
import type { MessageCompilers, ValidateFunction } from '../messages/compilers.ts'
import type { CompilerOptions } from './compiler-options.ts'

type Compile = FastifySchemaCompiler<object>
type CompileSerializer = (route: {
  schema: object
  method: string
  url: string
  httpStatus: string
}) => (message: unknown) => string

interface AjvFormats {
  readonly addFormat: (name: string, format: unknown) => unknown
}

interface AjvOptions {
  readonly customOptions?: { readonly formats?: object }
  readonly onCreate?: (ajv: AjvFormats) => void
}

// Compilers that tell parts apart coerce all but this one (TypeBox's), or know no others than
// Fastify's four.
const HTTP_PART = 'body'

/**
 * The compilers for a route's message schemas: its own, or the instance's, so that any type
 * provider works.
 *
 * Fastify's default validator coerces, fills in defaults and removes what it does not know, which
 * is right for query strings and wrong for messages. One that is seen to do so is replaced by
 * Fastify's own over the same shared schemas and with the application's options (`given`), without
 * these three. A route that wants them has its own `validatorCompiler`.
 */
export function buildMessageCompilers (
  instance: FastifyInstance,
  route: RouteOptions,
  options: CompilerOptions
): MessageCompilers {
  // Typed as always there; undefined until somebody sets it or a route needs it.
  const given = (route.validatorCompiler ?? instance.validatorCompiler) as Compile | undefined
  const jsonSchema = given === undefined || speaksJsonSchema(given)
  const replaced =
    route.validatorCompiler === undefined &&
    given !== undefined &&
    jsonSchema &&
    (alters(given) || losesFormats(given, options))
  const own = replaced ? undefined : given
  const validate = (compile: Compile, schema: object): ValidateFunction =>
    compile({ schema, method: 'GET', url: route.url, httpPart: HTTP_PART }) as ValidateFunction
  const serialize = (compile: CompileSerializer, schema: object): (message: unknown) => string =>
    compile({ schema, method: 'GET', url: route.url, httpStatus: 'websocket' })
  const ownSerializer = (route.serializerCompiler ?? instance.serializerCompiler) as
    CompileSerializer | undefined
  return {
    jsonSchema,
    validator: (schema) =>
      own === undefined
        ? validate(strictAjvOf(instance, options), schema)
        : retry(
          () => validate(own, schema),
          jsonSchema,
          () => validate(strictAjvOf(instance, options), schema)
        ),
    serializer: (schema) =>
      ownSerializer === undefined
        ? serialize(defaultSerializerOf(instance, options), schema)
        : retry(
          () => serialize(ownSerializer, schema),
          jsonSchema,
          () => serialize(defaultSerializerOf(instance, options), schema)
        )
  }
}

/**
 * A context inherits the compilers of the one above it, made there without the schemas that were
 * added here.
 */
function retry<T> (compile: () => T, again: boolean, compileHere: () => T): T {
  try {
    return compile()
  } catch (error) {
    if (!again) throw error
    try {
      return compileHere()
    } catch {
      throw error
    }
  }
}

const strictAjvs = new WeakMap<FastifyInstance, Compile>()
const defaultSerializers = new WeakMap<FastifyInstance, CompileSerializer>()

/** One for each context, when a schema first asks for it. */
function strictAjvOf (instance: FastifyInstance, options: CompilerOptions): Compile {
  const { log } = instance
  // Its own logger is the console.
  const logger = { log: log.info.bind(log), warn: log.warn.bind(log), error: log.error.bind(log) }
  const { customOptions, onCreate, ...others } = (options.ajv ?? {}) as AjvOptions
  const compile =
    strictAjvs.get(instance) ??
    (AjvCompiler()(
      instance.getSchemas() as never,
      {
        ...others,
        onCreate: (ajv: AjvFormats) => {
          for (const [name, format] of Object.entries(customOptions?.formats ?? {})) {
            ajv.addFormat(name, format)
          }
          onCreate?.(ajv)
        },
        customOptions: {
          logger,
          ...customOptions,
          coerceTypes: false,
          useDefaults: false,
          removeAdditional: false
        }
      } as never
    ) as unknown as Compile)
  strictAjvs.set(instance, compile)
  return compile
}

function defaultSerializerOf (
  instance: FastifyInstance,
  options: CompilerOptions
): CompileSerializer {
  const compile =
    defaultSerializers.get(instance) ??
    (SerializerCompiler()(
      instance.getSchemas(),
      options.serializer ?? {}
    ) as unknown as CompileSerializer)
  defaultSerializers.set(instance, compile)
  return compile
}

/**
 * Tells whether a compiler is Fastify's own and the application has formats: it puts those of
 * ajv-formats in place of the application's of the same name. It can be told by nothing but its
 * name.
 */
function losesFormats (compile: Compile, options: CompilerOptions): boolean {
  const { customOptions } = (options.ajv ?? {}) as AjvOptions
  return customOptions?.formats !== undefined && compile.name === 'bound buildValidatorFunction'
}

/** Tells whether a compiler's functions change what they check, by trying one for each way to. */
function alters (compile: Compile): boolean {
  return (
    isChanged(
      compile,
      { type: 'object', properties: { coerced: { type: 'integer' } } },
      { coerced: '1' }
    ) ||
    isChanged(
      compile,
      { type: 'object', properties: { filled: { type: 'integer', default: 1 } } },
      {}
    ) ||
    isChanged(
      compile,
      { type: 'object', properties: {}, additionalProperties: false },
      { removed: 1 }
    )
  )
}

function isChanged (compile: Compile, schema: object, data: object): boolean {
  const before = JSON.stringify(data)
  const result: unknown = run(compile, schema, data)
  const { value = data } = (typeof result === 'object' && result !== null ? result : {}) as {
    value?: unknown
  }
  return JSON.stringify(data) !== before || JSON.stringify(value) !== before
}

/**
 * A compiler for another kind of schema (zod, say) takes JSON Schema for none: it throws, or
 * refuses what matches.
 */
function speaksJsonSchema (compile: Compile): boolean {
  try {
    const accepts = (data: unknown): boolean => {
      const result: unknown = run(compile, { type: 'integer' }, data)
      return result !== false && (result as { error?: unknown } | undefined)?.error === undefined
    }
    return accepts(1) && !accepts('a')
  } catch {
    return false
  }
}

function run (compile: Compile, schema: object, data: unknown): unknown {
  const result = (
    compile({ schema, method: 'GET', url: '', httpPart: HTTP_PART }) as (data: unknown) => unknown
  )(data)
  // Refused in messages/check.ts; its rejection must not end the process here.
  if (isThenable(result)) ignoreRejection(result)
  return result
}
