import type { QueueOptions } from './types.ts'

export interface Sized {
  /** In bytes. */
  readonly size: number
}

/** A queue, first in first out, that is bounded by count and bytes. */
export class BoundedQueue<T extends Sized> {
  readonly #options: Required<QueueOptions>
  #items: T[] = []
  #bytes = 0

  constructor (options?: QueueOptions) {
    this.#options = { maxMessages: 1024, maxBytes: 1_000_000, policy: 'refuse', ...options }
  }

  /** Returns the items that were removed to make room. Undefined when the item was refused. */
  add (item: T): T[] | undefined {
    const { maxMessages, maxBytes, policy } = this.#options
    const gone: T[] = []
    if (item.size > maxBytes || maxMessages < 1) return
    while (this.#items.length >= maxMessages || this.#bytes + item.size > maxBytes) {
      if (policy === 'refuse') return
      gone.push(this.#take(policy === 'drop-oldest' ? 0 : -1) as T)
    }
    this.#items.push(item)
    this.#bytes += item.size
    return gone
  }

  shift (): T | undefined {
    return this.#take(0)
  }

  remove (item: T): void {
    const at = this.#items.indexOf(item)
    if (at >= 0) this.#take(at)
  }

  /** Removes an item by its index. -1 removes the last item. */
  #take (at: number): T | undefined {
    const [item] = this.#items.splice(at, 1)
    this.#bytes -= item?.size ?? 0
    return item
  }
}
