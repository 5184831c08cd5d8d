import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { findInternals } from '../plugin/plugin.ts'
import type { DeclaredRoute } from './channel.ts'
import { buildDocument } from './document.ts'
import { checkOptions, type AsyncApiOptions } from './options.ts'
import { servePage } from './page.ts'
import type { AsyncApi, AsyncApiDocument } from './types.ts'
import { toYaml } from './yaml.ts'

/**
 * The Fastify plugin: `await app.register(asyncapi, options)`. Describes the websocket routes of
 * its context and below. Throws a coded error for a wrong or unknown option.
 */
export const asyncapi = fp(register, { fastify: '5.x', name: 'fastify-websock/asyncapi' })

async function register (instance: FastifyInstance, given: AsyncApiOptions): Promise<void> {
  const options = checkOptions(given)
  let document: AsyncApiDocument | undefined
  let yaml: string | undefined
  instance.addHook('onReady', async () => {
    document = buildDocument(findRoutes(instance), options)
  })
  instance.decorate('asyncapi', ((wanted = {}) => {
    // Before the server is ready, the document has the routes declared so far.
    const current = document ?? buildDocument(findRoutes(instance), options)
    if (wanted.yaml !== true) return current
    if (document === undefined) return toYaml(current)
    yaml ??= toYaml(current)
    return yaml
  }) as AsyncApi)
  if (options.routePrefix !== undefined) await servePage(instance, options.routePrefix)
}

/** The websocket routes of a context and its children, declared before or after this plugin. */
function findRoutes (context: FastifyInstance): DeclaredRoute[] {
  const declarations = findInternals(context)?.onRoute.declarations ?? []
  return (
    declarations
      // Fastify creates a child context from its parent with Object.create.
      .filter(
        ({ instance }) =>
          instance === context || Object.prototype.isPrototypeOf.call(context, instance)
      )
      .map(({ instance, declared }) => ({ instance, route: declared }))
  )
}
