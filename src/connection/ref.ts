import { checkDetail } from './result.ts'

/** Delivers the calls of refs. */
export interface RefTarget {
  /** Posts an info to the connection of an address on any node. */
  post (address: string, info: unknown): boolean
  /** Ends the connection of an address on any node. */
  close (address: string, code: number, reason: string): boolean
}

/**
 * A reference to a connection on any node. Holds only the address, so that a kept ref keeps no
 * connection alive.
 */
export class Ref<in Info = unknown> {
  readonly #target: RefTarget

  /** A string that can be stored. `app.websock.ref(address)` converts it back to a ref. */
  readonly address: string

  constructor (address: string, target: RefTarget) {
    this.address = address
    this.#target = target
  }

  /**
   * Posts an info to that connection. False when it has ended or its mailbox is full, as far as
   * this node knows.
   */
  readonly post = (info: Info): boolean => this.#target.post(this.address, info)

  /**
   * Ends that connection like its own `ws.close`. `code`: 1000–1003, 1007–1014 or 3000–4999,
   * 1000 by default. `reason`: at most 123 bytes. False when the connection has ended already, or
   * when the request to another node certainly did not leave this one. Throws
   * FST_WEBSOCK_UNSENDABLE.
   */
  close (code = 1000, reason = ''): boolean {
    const checked = checkDetail([code, reason])
    return this.#target.close(this.address, checked.code, checked.reason)
  }

  toJSON (): string {
    return this.address
  }
}
