import type { FastifyTypeProvider, FastifyTypeProviderDefault } from 'fastify'
import type { DefineWebsocketRoute } from './types.ts'

/**
 * A websocket route at module level, without a type provider: see {@link withTypeProvider} for one.
 */
export const defineWebsocketRoute: DefineWebsocketRoute<FastifyTypeProviderDefault> = (route) =>
  route as never

/** `const { defineWebsocketRoute } = withTypeProvider<TypeBoxTypeProvider>()` */
export function withTypeProvider<TP extends FastifyTypeProvider> (): {
  readonly defineWebsocketRoute: DefineWebsocketRoute<TP>
} {
  return { defineWebsocketRoute: (route) => route as never }
}
