import { checkDetail } from './result.ts'

/** Where refs send to. */
export interface RefTarget {
  /** Puts an info into the mailbox of the connection of that address, wherever it is. */
  post (address: string, info: unknown): boolean
  /** Ends the connection of that address, wherever it is. */
  close (address: string, code: number, reason: string): boolean
}

/**
 * Another connection, or this one, on any node. Holds only an address, so that a kept ref keeps
 * nothing else.
 */
export class Ref<in Info = unknown> {
  readonly #target: RefTarget

  /** A string that can be stored and turned back by `app.websock.ref(address)`. */
  readonly address: string

  constructor (address: string, target: RefTarget) {
    this.address = address
    this.#target = target
  }

  /**
   * Puts an info into the mailbox of that connection. False when it has ended, or its mailbox is
   * full.
   */
  readonly post = (info: Info): boolean => this.#target.post(this.address, info)

  /**
   * Ends that connection as its own `ws.close` would: code 1000 unless another one is given
   * (1000–1003, 1007–1014, 3000–4999), a reason of at most 123 bytes. False when it has ended
   * already; for a connection of another node, when the request certainly did not leave this one.
   * Throws FST_WEBSOCK_UNSENDABLE.
   */
  close (code = 1000, reason = ''): boolean {
    const checked = checkDetail([code, reason])
    return this.#target.close(this.address, checked.code, checked.reason)
  }

  toJSON (): string {
    return this.address
  }
}
