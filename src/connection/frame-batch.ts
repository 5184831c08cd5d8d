import type { SharedFrame } from './shared-frame.ts'

/** Shared frames that are sent one after the other, as one piece: joined once for all who get the same. */
export class FrameBatch {
  /** Bytes of all. */
  readonly length: number
  readonly #own: readonly SharedFrame[]
  readonly #before: FrameBatch | undefined
  #frames: readonly SharedFrame[] | undefined
  #bytes: Buffer | undefined
  #next: FrameBatch | undefined

  constructor (own: readonly SharedFrame[], before?: FrameBatch) {
    this.#own = own
    this.#before = before
    this.length = own.reduce((length, { bytes }) => length + bytes.length, before?.length ?? 0)
  }

  /** The batch that goes on with another one: the same for all who ask one after the other. */
  and ({ frames }: FrameBatch): FrameBatch {
    if (this.#next === undefined || this.#next.#own !== frames) this.#next = new FrameBatch(frames, this)
    return this.#next
  }

  get frames (): readonly SharedFrame[] {
    return (this.#frames ??= this.#before === undefined ? this.#own : this.#collect())
  }

  get bytes (): Buffer {
    return (this.#bytes ??= this.#join())
  }

  #collect (): SharedFrame[] {
    const parts = [this.#own]
    for (let batch = this.#before; batch !== undefined; batch = batch.#before) parts.push(batch.#own)
    return parts.reverse().flat()
  }

  #join (): Buffer {
    const [first, ...others] = this.frames.map(({ bytes }) => bytes) as [Buffer, ...Buffer[]]
    return others.length === 0 ? first : Buffer.concat([first, ...others], this.length)
  }
}

/** Who has a batch that waits for the end of the tick. */
export interface BatchWriter {
  flushBatch (): void
}

let writers: BatchWriter[] = []

/** Calls `flushBatch` at the end of this tick. */
export function flushAtEndOfTick (writer: BatchWriter): void {
  if (writers.push(writer) === 1) process.nextTick(flushAll)
}

/** Somebody has one. */
export function batchesWait (): boolean {
  return writers.length > 0
}

function flushAll (): void {
  const due = writers
  writers = []
  for (const writer of due) writer.flushBatch()
}
