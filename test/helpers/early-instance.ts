import Fastify, { type FastifyInstance } from 'fastify'

/** Made before the library is loaded, when this is imported before it. */
export const earlyInstance: FastifyInstance = Fastify()
