import { randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'

/** What the application gave Fastify for its default compilers. Filled in before `onReady`. */
export interface CompilerOptions {
  /** The option `ajv`. */
  ajv?: object
  /** The option `serializerOpts`. */
  serializer?: object
}

/**
 * Reads the options `ajv` and `serializerOpts` of the application.
 *
 * Nothing public gives them but Fastify's call of the factories in a schema controller, and it
 * calls those only for a route with schemas. So a context of our own has such a route, hidden, with
 * a method and a path that nobody asks for. The application's `onRoute` hooks see it. The options
 * also stand under a symbol of Fastify's own, but a release that renames it would change without a
 * word what messages are accepted.
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
    // A compiler that the application has set is used as it is, and may know no JSON Schema.
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
