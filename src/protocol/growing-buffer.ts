const MIN_CAPACITY = 1024

/**
 * Bytes that come in pieces. Its memory is at most twice the bytes that have come, or 1 KiB,
 * however small the pieces are.
 */
export class GrowingBuffer {
  length = 0
  #bytes = Buffer.alloc(0)

  /** Copies `source[from, to)` to the end. `most`: the length that will not be exceeded. */
  append (source: Buffer, from: number, to: number, most: number): void {
    const length = this.length + to - from
    if (length > this.#bytes.length) this.#grow(Math.min(most, Math.max(MIN_CAPACITY, length * 2)))
    source.copy(this.#bytes, this.length, from, to)
    this.length = length
  }

  /** A view of all bytes so far. */
  view (): Buffer {
    return this.#bytes.subarray(0, this.length)
  }

  #grow (capacity: number): void {
    // Not from Node's pool: what is kept of a message must not keep 8 KiB of others.
    const bytes = Buffer.allocUnsafeSlow(capacity)
    this.#bytes.copy(bytes, 0, 0, this.length)
    this.#bytes = bytes
  }
}
