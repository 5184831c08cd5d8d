import { FST_WEBSOCK_UNEXPECTED } from '../errors.ts'
import { now } from './real-time.ts'

const MAX_LINES = 40
const MAX_LINE_LENGTH = 200

/** The events of one connection, for the text of an error. */
export class Transcript {
  readonly #begun = now()
  #lines: string[] = []
  #omitted = 0

  add (line: string): void {
    const short = line.length > MAX_LINE_LENGTH ? `${line.slice(0, MAX_LINE_LENGTH)}…` : line
    this.#lines.push(`${(now() - this.#begun).toFixed(0).padStart(6)} ms  ${short}`)
    if (this.#lines.length <= MAX_LINES) return
    this.#lines.shift()
    this.#omitted++
  }

  toString (): string {
    const omitted = this.#omitted === 0 ? [] : [`          (${this.#omitted} lines before)`]
    return [...omitted, ...this.#lines].join('\n')
  }

  /**
   * Prepares the error of an expectation. An error created in a timer would not have the test's
   * stack. `from`: the function whose caller is the first line of the stack.
   */
  expectation (from?: (...args: never[]) => unknown): (problem: string) => Error {
    const here: { stack?: string } = {}
    Error.captureStackTrace(here, from)
    const [, ...frames] = (here.stack ?? '').split('\n')
    return (problem) => {
      const error = new FST_WEBSOCK_UNEXPECTED(`${problem}. So far:\n${this.toString()}`)
      error.stack = [`${error.name}: ${error.message}`, ...frames].join('\n')
      return error
    }
  }
}
