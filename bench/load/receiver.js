'use strict'

/** One answer of so many is compared byte by byte; the others by length. */
const CHECKED_SHARE = 8

/**
 * Waits for the same bytes again and again, and calls `onWhole` for each time they were there.
 *
 * `onWrong` is called with an error when other bytes come, when the connection ends, and, unless
 * `endless`, when more comes than one answer.
 */
class Receiver {
  #client
  #answer
  #endless
  #onWhole
  #onWrong
  #received = 0
  #answers = 0

  constructor (client, { answer, endless = false, onWhole, onWrong }) {
    this.#client = client
    this.#answer = answer
    this.#endless = endless
    this.#onWhole = onWhole
    this.#onWrong = onWrong
  }

  start () {
    this.#client.onBytes = (buffer, length) => this.#receive(buffer, length)
    this.#client.onEnd = (reason) => this.#onWrong(new Error(reason))
  }

  #receive (buffer, length) {
    const answer = this.#answer
    for (let from = 0; from < length;) {
      const end = Math.min(answer.length, this.#received + length - from)
      const to = from + end - this.#received
      if (
        this.#answers % CHECKED_SHARE === 0 &&
        buffer.compare(answer, this.#received, end, from, to) !== 0
      ) {
        return this.#onWrong(new Error('an answer is not what it should be'))
      }
      from = to
      this.#received = end
      if (end < answer.length) return
      if (from < length && !this.#endless) {
        return this.#onWrong(new Error('more came than was asked for'))
      }
      this.#received = 0
      this.#answers++
      this.#onWhole()
    }
  }
}

module.exports = { Receiver }
