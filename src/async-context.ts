import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'

const TYPE = 'fastify-websock'

/**
 * The async context in which this object was created, with its AsyncLocalStorage stores. Callbacks
 * run in it instead of in the context of the code that triggers them.
 */
export class AsyncContext {
  readonly #resource: AsyncResource

  constructor () {
    const resource = new AsyncResource(TYPE)
    this.#resource = KEEPS_ENTERED_STORES ? copyOf(resource) : resource
  }

  /** Calls a function in this context. A store entered with `enterWith` is left after the call. */
  enter<Self, Arg, Result> (call: (this: Self, arg: Arg) => Result, self: Self, arg: Arg): Result {
    const resource = KEEPS_ENTERED_STORES ? copyOf(this.#resource) : this.#resource
    return enterResource.call(resource, call, self, arg) as Result
  }
}

const enterResource = AsyncResource.prototype.runInAsyncScope as (
  this: AsyncResource, call: unknown, self: unknown, arg: unknown
) => unknown

/**
 * True when `enterWith` changes the resource for all later calls. In Node 20 and 22 stores are
 * properties of the resource; from Node 24 on a resource does not change.
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
 * Copies a resource: its ids and stores are properties in those versions. That takes half the time
 * of creating a resource.
 */
function copyOf (resource: AsyncResource): AsyncResource {
  return { ...resource } as AsyncResource
}
