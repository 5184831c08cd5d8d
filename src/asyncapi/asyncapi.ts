import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { DeclaredRoute } from './channel.ts'
import { buildDocument } from './document.ts'
import { checkOptions, type AsyncApiOptions } from './options.ts'
import { servePage } from './page.ts'
import type { AsyncApi, AsyncApiDocument } from './types.ts'
import { toYaml } from './yaml.ts'

/**
 * The Fastify plugin: `await app.register(asyncapi, options)`, before the routes. Throws a coded error
 * for a wrong or unknown option.
 */
export const asyncapi = fp(register, { fastify: '5.x', name: 'fastify-websock/asyncapi' })

async function register (instance: FastifyInstance, given: AsyncApiOptions): Promise<void> {
  const options = checkOptions(given)
  const routes: DeclaredRoute[] = []
  let document: AsyncApiDocument | undefined
  let yaml: string | undefined
  instance.addHook('onRoute', function (route) {
    // Fastify makes a HEAD route of each GET route.
    if (route.websocketHandler !== undefined && route.method !== 'HEAD') routes.push({ instance: this, route })
  })
  instance.addHook('onReady', async () => {
    document = buildDocument(routes, options)
  })
  instance.decorate('asyncapi', ((wanted = {}) => {
    // Before the server is ready: of the routes that there are so far.
    const current = document ?? buildDocument(routes, options)
    if (wanted.yaml !== true) return current
    if (document === undefined) return toYaml(current)
    yaml ??= toYaml(current)
    return yaml
  }) as AsyncApi)
  if (options.routePrefix !== undefined) await servePage(instance, options.routePrefix)
}
