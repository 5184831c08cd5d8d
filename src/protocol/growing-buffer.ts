const MIN_CAPACITY = 1024

/**
 * Collects bytes that arrive in pieces. Its memory is at most the larger of 1 KiB and twice the
 * bytes received, however small the pieces are.
 */
export class GrowingBuffer {
  length = 0
  #bytes = Buffer.alloc(0)

  /** Appends a copy of `source[from, to)`. `most`: the length that the buffer will never exceed. */
  append (source: Buffer, from: number, to: number, most: number): void {
    const length = this.length + to - from
    if (length > this.#bytes.length) this.#grow(Math.min(most, Math.max(MIN_CAPACITY, length * 2)))
    source.copy(this.#bytes, this.length, from, to)
    this.length = length
  }

  /** Returns a view of all bytes so far. */
  view (): Buffer {
    return this.#bytes.subarray(0, this.length)
  }

  #grow (capacity: number): void {
    // Not from Node's pool: a kept slice would keep a pool of 8 KiB.
    const bytes = Buffer.allocUnsafeSlow(capacity)
    this.#bytes.copy(bytes, 0, 0, this.length)
    this.#bytes = bytes
  }
}
