import type { Batch, Subscriber } from './subscriptions.ts'

/** Broadcasts wait for the end of the tick until they are this long together. */
const MAX_WAITING_BYTES = 64 * 1024

/**
 * Broadcasts on their way to sockets. Those of one tick to the same subscribers are handed to each of them together: one visit
 * and one write, however many they are.
 */
export class FanOut<Frames extends Batch<Frames>> {
  #frames: Frames | undefined
  #subscribers: ReadonlySet<Subscriber<Frames>> = new Set()
  #except: Subscriber<Frames> | undefined
  #scheduled = false

  /** `except` is not told. */
  add (frames: Frames, subscribers: ReadonlySet<Subscriber<Frames>>, except: Subscriber<Frames> | undefined): void {
    // Not once: who is told may end, and its handler broadcast to others again.
    while (this.#frames !== undefined && (this.#subscribers !== subscribers || this.#except !== except)) this.settle()
    this.#frames = this.#frames?.and(frames) ?? frames
    this.#subscribers = subscribers
    this.#except = except
    if (this.#frames.length >= MAX_WAITING_BYTES) this.settle()
    else if (!this.#scheduled) this.#schedule()
  }

  /** Hands out what waits, before something else is done that must come behind it. */
  settle (): void {
    if (this.#frames !== undefined) this.#handOut(this.#frames, true)
  }

  #schedule (): void {
    this.#scheduled = true
    process.nextTick(() => {
      this.#scheduled = false
      if (this.#frames !== undefined) this.#handOut(this.#frames, false)
    })
  }

  #handOut (frames: Frames, more: boolean): void {
    const [subscribers, except] = [this.#subscribers, this.#except]
    // First: who is told may end, and its handler broadcast something else.
    this.#frames = this.#except = undefined
    for (const subscriber of subscribers) if (subscriber !== except) subscriber.sendShared(frames, more)
  }
}
