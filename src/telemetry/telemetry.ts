import type { IncomingMessage } from 'node:http'
import { BoundedCounts } from './bounded-counts.ts'
import { channels } from './channels.ts'
import { RouteTelemetry } from './route-telemetry.ts'
import { WatchLists } from './watch-lists.ts'

/** The counters of one app. */
export class Telemetry {
  readonly lists = new WatchLists()
  /** Upgrades that were refused before a websocket route was found. */
  readonly unrouted = new BoundedCounts()
  readonly #routes = new Map<string, RouteTelemetry>()

  get routes (): Iterable<RouteTelemetry> { return this.#routes.values() }

  /** Returns the counters of a route by its declared URL. */
  routeOf (url: string): RouteTelemetry {
    let route = this.#routes.get(url)
    if (route === undefined) this.#routes.set(url, (route = new RouteTelemetry(url, this.lists)))
    return route
  }

  upgradeRefused (
    request: IncomingMessage,
    answer: { readonly route: string, readonly statusCode: number, readonly code: string }
  ): void {
    const { route, code, statusCode } = answer
    const counts = route === '' ? this.unrouted : this.routeOf(route).refused
    counts.add(code || String(statusCode))
    if (channels.upgradeRefused.hasSubscribers) {
      channels.upgradeRefused.publish({ ...answer, request })
    }
  }
}
