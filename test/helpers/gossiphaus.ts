import { fork, type ChildProcess } from 'node:child_process'
import { resolve } from 'node:path'
import type { Game } from './gossip.ts'
import type { Teardown } from './server.ts'

/** A game that uses the client gossiphaus. */
export class Gossiphaus {
  readonly #child: ChildProcess
  readonly #events: Array<{ event: string, message: any }> = []
  #wake: () => void = () => {}

  constructor (child: ChildProcess) {
    this.#child = child
    child.on('message', (message: any) => {
      if (message.type === 'event') this.#events.push(message)
      this.#wake()
    })
  }

  /** Takes the next message of an event, with any ref. Rejects after `timeoutMs`. */
  async hears (event: string, timeoutMs = 15_000): Promise<any> {
    const deadline = performance.now() + timeoutMs
    for (;;) {
      const index = this.#events.findIndex(
        (one) => one.event === event || one.event.startsWith(`${event}:`)
      )
      if (index !== -1) return this.#events.splice(index, 1)[0]?.message
      const left = deadline - performance.now()
      if (left <= 0) {
        throw new Error(`no ${event} within ${timeoutMs} ms; heard ${JSON.stringify(this.#events)}`)
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#wake = () => { clearTimeout(timer); resolve() }
      })
    }
  }

  /** The errors of the client so far. */
  get errors (): unknown[] {
    return this.#events.filter(({ event }) => event === 'error' || event === 'failed')
  }

  /** Calls a function of the package: `send`, `addPlayer`, `findPlayer` … */
  async call (name: string, ...args: unknown[]): Promise<any> {
    const result = new Promise<any>((resolve) => {
      const take = (message: any): void => {
        if (message.type !== 'result') return
        this.#child.off('message', take)
        resolve(message)
      }
      this.#child.on('message', take)
    })
    this.#child.send({ call: name, args })
    const { value, error } = await result
    if (error !== undefined) throw new Error(error)
    return value
  }
}

/** Connects a game. Its process is killed when the test ends. */
export function startGossiphaus (
  t: Teardown,
  url: string,
  game: Game,
  more: object = {}
): Gossiphaus {
  const credentials = { client_id: game.client_id, client_secret: game.client_secret }
  const config = { url, ...credentials, ...more }
  const child = fork(
    resolve(__dirname, '../fixtures/gossiphaus-client.js'),
    [JSON.stringify(config)],
    { execArgv: [], env: { PATH: process.env['PATH'] } }
  )
  t.teardown(() => child.kill('SIGKILL'))
  return new Gossiphaus(child)
}
