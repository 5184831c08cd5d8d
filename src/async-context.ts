import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'

const TYPE = 'fastify-websock'

/**
 * The async context in which this object was made, for code that others cause to run: stores of
 * AsyncLocalStorage are those of the maker. To be extended where memory counts: it has two fields.
 */
export class AsyncContext extends AsyncResource {
  constructor () {
    super(TYPE)
  }

  /**
   * Calls a function in this context. A store that it enters with `enterWith` ends with the call.
   */
  enter<Self, Arg, Result> (call: (this: Self, arg: Arg) => Result, self: Self, arg: Arg): Result {
    return KEEPS_ENTERED_STORES
      ? this.runInAsyncScope(callInCopy<Self, Arg, Result>, self, call, arg)
      : this.runInAsyncScope(call, self, arg)
  }
}

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

function callInCopy<Self, Arg, Result> (
  this: Self,
  call: (this: Self, arg: Arg) => Result,
  arg: Arg
): Result {
  return new AsyncResource(TYPE).runInAsyncScope(call, this, arg)
}
