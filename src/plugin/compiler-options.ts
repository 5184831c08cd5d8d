import { randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'

/** The application's options for Fastify's default compilers. Filled in before `onReady`. */
export interface CompilerOptions {
  /** The option `ajv`. */
  ajv?: object
  /** The option `serializerOpts`. */
  serializer?: object
}

/**
 * Reads the options `ajv` and `serializerOpts` of the application.
 *
 * Fastify passes them only to the factories of a schema controller, and only for a route with
 * schemas. So this function declares such a route in a context of its own: hidden, with a method
 * and a path that no client uses. The application's `onRoute` hooks see the route.
 *
 * Fastify also stores the options under a private symbol. But if a release renamed that symbol, the
 * messages that a route accepts would silently change.
 */
export function readCompilerOptions (instance: FastifyInstance): CompilerOptions {
  const read: CompilerOptions = {}
  void instance.register(async (child) => {
    child.setSchemaController({
      compilersFactory: {
        buildValidator: (_schemas: unknown, options: object) => {
          read.ajv = options
          return () => () => true
        },
        buildSerializer: (_schemas: unknown, options: object) => {
          read.serializer = options
          return () => () => ''
        }
      } as never
    })
    // A compiler that the application has set is used unchanged, and may not support JSON Schema.
    const { validatorCompiler, serializerCompiler } = child as Partial<FastifyInstance>
    child.route({
      method: 'TRACE',
      url: `/${randomUUID()}`,
      schema: {
        hide: true,
        ...validatorCompiler === undefined && { querystring: {} },
        ...serializerCompiler === undefined && { response: { 200: {} } }
      } as object,
      handler: (_request, reply) => { reply.callNotFound() }
    })
  })
  return read
}
