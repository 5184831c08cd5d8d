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

// Some compilers depend on the part: TypeBox's coerces all parts but `body`, others accept only
// Fastify's four parts.
const HTTP_PART = 'body'

/**
 * Builds the compilers of a route's message schemas. They are those of the route or of the
 * instance, so that any type provider works.
 *
 * Fastify's default validator coerces types, sets defaults and removes unknown properties. That is
 * right for query strings and wrong for messages. A validator that does so is replaced by an Ajv
 * compiler with the same shared schemas and the application's options (`options`), but without
 * these three features. A route that needs them sets its own `validatorCompiler`.
 */
export function buildMessageCompilers (
  instance: FastifyInstance,
  route: RouteOptions,
  options: CompilerOptions
): MessageCompilers {
  // Fastify's type says that it always exists. It is undefined until it is set or a route needs it.
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
 * Compiles once more with `compileHere` when `compile` throws. A context inherits the compilers of
 * its parent, and those do not know the schemas that were added in this context.
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

/** The strict Ajv compiler of a context, created at the first use. */
function strictAjvOf (instance: FastifyInstance, options: CompilerOptions): Compile {
  const { log } = instance
  // Without a logger Ajv writes to the console.
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
 * Tells whether a compiler overrides formats of the application: Fastify's default compiler
 * replaces them by formats of ajv-formats with the same name. Only its name identifies that
 * compiler.
 */
function losesFormats (compile: Compile, options: CompilerOptions): boolean {
  const { customOptions } = (options.ajv ?? {}) as AjvOptions
  return customOptions?.formats !== undefined && compile.name === 'bound buildValidatorFunction'
}

/**
 * Tells whether the validators of a compiler change the data. Tries one schema for each of the
 * three features.
 */
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
 * Tells whether a compiler supports JSON Schema. A compiler for other schemas (zod, for example)
 * throws, or refuses data that matches.
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
  // messages/check.ts refuses promises. Here the rejection must not end the process.
  if (isThenable(result)) ignoreRejection(result)
  return result
}
