/**
 * A sequence of prepared frames. Their bytes are joined once for all connections that receive the
 * same frames in one tick.
 */
export class PreparedBatch {
  /** Bytes of all frames. */
  readonly length: number
  /** Number of frames. */
  readonly count: number
  readonly #last: PreparedFrame
  readonly #before: PreparedBatch | undefined
  #bytes: Buffer | undefined
  #next: PreparedBatch | undefined

  constructor (last: PreparedFrame, before: PreparedBatch | undefined) {
    this.#last = last
    this.#before = before
    this.length = (before?.length ?? 0) + last.bytes.length
    this.count = (before?.count ?? 0) + 1
  }

  /**
   * Returns this batch with one more frame. Consecutive calls with the same frame return the same
   * object.
   */
  and (frame: PreparedFrame): PreparedBatch {
    if (this.#next === undefined || this.#next.#last !== frame) {
      this.#next = new PreparedBatch(frame, this)
    }
    return this.#next
  }

  get bytes (): Buffer {
    return (this.#bytes ??=
      this.#before === undefined ? this.#last.bytes : Buffer.concat(this.#parts(), this.length))
  }

  #parts (): Buffer[] {
    const parts = [this.#last.bytes]
    for (let batch = this.#before; batch !== undefined; batch = batch.#before) {
      parts.push(batch.#last.bytes)
    }
    return parts.reverse()
  }
}

/** The header and payload of a message: the same bytes for all receivers. */
export class PreparedFrame {
  readonly bytes: Buffer
  #batch: PreparedBatch | undefined

  constructor (bytes: Buffer) {
    this.bytes = bytes
  }

  /** A batch with only this frame. */
  get batch (): PreparedBatch {
    return (this.#batch ??= new PreparedBatch(this, undefined))
  }
}
