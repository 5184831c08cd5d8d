import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'

const TYPE = 'fastify-websock'

/**
 * The async context in which this object was made, for code that others cause to run: stores of
 * AsyncLocalStorage are those of the maker.
 */
export class AsyncContext {
  readonly #resource: AsyncResource

  constructor () {
    const resource = new AsyncResource(TYPE)
    this.#resource = KEEPS_ENTERED_STORES ? copyOf(resource) : resource
  }

  /**
   * Calls a function in this context. A store that it enters with `enterWith` ends with the call.
   */
  enter<Self, Arg, Result> (call: (this: Self, arg: Arg) => Result, self: Self, arg: Arg): Result {
    const resource = KEEPS_ENTERED_STORES ? copyOf(this.#resource) : this.#resource
    return enterResource.call(resource, call, self, arg) as Result
  }
}

const enterResource = AsyncResource.prototype.runInAsyncScope as (
  this: AsyncResource, call: unknown, self: unknown, arg: unknown
) => unknown

/**
 * Stores are properties of the resource (Node 20 and 22), so `enterWith` in one call would be seen
 * in all later ones. From Node 24 on a resource does not change.
 */
const KEEPS_ENTERED_STORES = keepsEnteredStores()

function keepsEnteredStores (): boolean {
  const store = new AsyncLocalStorage<boolean>()
  const resource = new AsyncResource(TYPE)
  resource.runInAsyncScope(() => store.enterWith(true))
  const kept = resource.runInAsyncScope(() => store.getStore() === true)
  store.disable()
  return kept
}

/**
 * The ids and the stores of a resource are properties in those versions. Copying them takes half
 * of the time that another resource would.
 */
function copyOf (resource: AsyncResource): AsyncResource {
  return { ...resource } as AsyncResource
}
