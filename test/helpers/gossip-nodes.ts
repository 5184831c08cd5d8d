import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from './client.ts'
import { startExample, type ExampleServer } from './example.ts'
import type { Game } from './gossip.ts'
import type { Teardown } from './server.ts'

/**
 * Starts `count` example servers for these games. They form one network when the variables name a
 * broker.
 */
export async function startNodes (
  t: Teardown,
  count: number,
  games: readonly Game[],
  variables: NodeJS.ProcessEnv = {}
): Promise<ExampleServer[]> {
  const folder = await mkdtemp(join(tmpdir(), 'websock-gossip-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const GOSSIP_GAMES = join(folder, 'games.json')
  await writeFile(GOSSIP_GAMES, JSON.stringify(games))
  return Promise.all(
    Array.from({ length: count }, () => startExample(t, 0, { GOSSIP_GAMES, ...variables }))
  )
}

/** The messages that a page gets from one node. */
export class Watcher {
  readonly games = new Map<string, any>()
  readonly #next: () => Promise<any>

  constructor (next: () => Promise<any>) {
    this.#next = next
  }

  static async open (t: Teardown, server: Pick<ExampleServer, 'ws'>): Promise<Watcher> {
    const client = await connect(t, server.ws('/ws/gossip'))
    return new Watcher(() => client.nextJson(20_000))
  }

  /**
   * Waits until `is` accepts the node's data of a game, or undefined when the game is not online.
   * Rejects when nothing changes for 20 s.
   */
  async until (game: string, is: (known: any) => boolean): Promise<void> {
    while (!is(this.games.get(game))) {
      const { event, games } = await this.#next()
      for (const one of games ?? []) {
        if (event === 'online') this.games.set(one.game, one)
        else this.games.delete(one)
      }
    }
  }
}
