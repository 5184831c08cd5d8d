import type { FastifyTypeProvider, FastifyTypeProviderDefault } from 'fastify'
import type { DefineWebsocketRoute } from './types.ts'

/** Defines a websocket route at module level. For a type provider use {@link withTypeProvider}. */
export const defineWebsocketRoute: DefineWebsocketRoute<FastifyTypeProviderDefault> = (route) =>
  route as never

/**
 * Returns `defineWebsocketRoute` for a type provider: `const { defineWebsocketRoute } =
 * withTypeProvider<TypeBoxTypeProvider>()`.
 */
export function withTypeProvider<TP extends FastifyTypeProvider> (): {
  readonly defineWebsocketRoute: DefineWebsocketRoute<TP>
} {
  return { defineWebsocketRoute: (route) => route as never }
}
