/**
 * Where an info goes that is meant for one connection. Holds only an address, so that a kept ref keeps nothing else.
 */
export class Ref<in Info = unknown> {
  readonly #post: (address: string, info: unknown) => boolean

  /** A string that can be stored and turned back by `app.websock.ref(address)`. */
  readonly address: string

  constructor (address: string, post: (address: string, info: unknown) => boolean) {
    this.address = address
    this.#post = post
  }

  /** Puts an info into the mailbox of that connection. False when it has ended, or its mailbox is full. */
  readonly post = (info: Info): boolean => this.#post(this.address, info)

  toJSON (): string {
    return this.address
  }
}
