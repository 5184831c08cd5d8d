import Fastify, { type FastifyInstance } from 'fastify'

/** A Fastify instance that is created before the library is loaded. Import this file first. */
export const earlyInstance: FastifyInstance = Fastify()
