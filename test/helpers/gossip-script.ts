import { isDeepStrictEqual } from 'node:util'
import type { Test } from 'tap'
import { connect, type Client } from './client.ts'
import { authentication, expectNoMessage, makeGame, type Game } from './gossip.ts'
import { GossipNetwork, type NetworkKind } from './gossip-network.ts'

/**
 * A step of a script. `>` sends (text unchanged, bytes as a binary frame), `<` expects the next
 * message, `silent` asserts that no message came, `closed` waits for the close frame, `+` advances
 * the server's clock by this many milliseconds.
 */
export type Step =
  | readonly [who: string, what: '>' | '<', message: unknown]
  | readonly [who: string, what: 'silent' | 'ping' | 'pong' | 'leaves']
  | readonly [who: string, what: 'closed', code: number]
  | readonly ['time', '+', ms: number]

/**
 * The sockets of a script, each with the payload of its authentication. null: connected, not
 * authenticated. The second socket of the game A is `A2`.
 */
export type Cast = Readonly<Record<string, object | null>>

export type Row = readonly [name: string, cast: Cast, ...steps: Step[]]

export function times (count: number, ...steps: Step[]): Step[] {
  return Array.from({ length: count }, () => steps).flat()
}

/** Stands for a ref that the server generated. */
export const FRESH = '(fresh)'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** In messages `@A` is replaced by the short name of the game A, `@A.id` by its id, and so on. */
const PLACEHOLDER = /@([A-Z])(?:\.(lower|id|secret|ID|SECRET))?/g
const PLACEHOLDERS = {
  name: (game: Game) => game.short_name,
  lower: (game: Game) => game.short_name.toLowerCase(),
  id: (game: Game) => game.client_id,
  secret: (game: Game) => game.client_secret,
  ID: (game: Game) => game.client_id.toUpperCase(),
  SECRET: (game: Game) => game.client_secret.toUpperCase()
}

/** The games of one row. H is not displayed, and the players of P are hidden. */
function gamesOf (row: number): Game[] {
  const more: Record<string, object> = {
    H: { display: false },
    P: { display_players: false },
    D: {
      description: 'd',
      homepage_url: 'http://d.example',
      connections: [
        { type: 'web', url: 'http://d.example/play' },
        { type: 'secure telnet', host: 'd.example', port: 4000 }
      ]
    }
  }
  return ['A', 'B', 'C', 'D', 'H', 'P'].map((letter) => makeGame(`${letter}${row}x`, more[letter]))
}

/** The rows of each table, by its title. */
export type Tables = Readonly<Record<string, readonly Row[]>>

/**
 * Runs each row as a test, all on one network. Each row has its own games. The sockets of a row
 * are spread over the nodes.
 */
export async function playTables (t: Test, tables: Tables, on: NetworkKind): Promise<void> {
  const count = Object.values(tables).flat().length
  const network = await GossipNetwork.start(t, await on.open(t), {
    games: Array.from({ length: count }, (_, row) => gamesOf(row)).flat(),
    onlineForMs: 3_600_000,
    heartbeatMs: 3_600_000
  })
  let next = 0
  for (const [title, rows] of Object.entries(tables)) {
    await t.test(title, async (t) => {
      for (const [name, cast, ...steps] of rows) {
        const row = next++
        await t.test(name, (t) => new Script(t, network, row).play(cast, steps))
      }
    })
  }
}

class Script {
  readonly #clients = new Map<string, Client>()
  readonly #t: Test
  readonly #network: GossipNetwork
  readonly #row: number
  #key = ''
  #equal = 0

  constructor (t: Test, network: GossipNetwork, row: number) {
    this.#t = t
    this.#network = network
    this.#row = row
  }

  async play (cast: Cast, steps: readonly Step[]): Promise<void> {
    const { nodes } = this.#network
    for (const [i, [who, payload]] of Object.entries(cast).entries()) {
      const client = await connect(this.#t, nodes[(this.#row + i) % nodes.length]!.url)
      this.#clients.set(who, client)
      if (payload === null) continue
      client.send(authentication(this.#gameOf(who), payload))
      while ((await client.nextJson<any>()).event !== 'heartbeat');
      await this.#network.settle()
    }
    // Removes the messages that the first clients got about the others.
    for (const client of this.#clients.values()) await drain(client)
    for (const step of steps) await this.#do(step)
    for (const client of this.#clients.values()) client.close()
    await Promise.all([...this.#clients.values()].map(({ closed }) => closed))
    // One assertion for all: tap takes a millisecond for each.
    this.#t.pass(`${this.#equal} messages as expected`)
  }

  async #do (step: Step): Promise<void> {
    const [who, what, value] = step
    // Undefined for `time`, which has no client.
    const client = this.#clients.get(who) as Client
    const label = `${who} ${what} ${JSON.stringify(value)}`
    // Waits for the publications of earlier steps, so that an answer comes after them.
    if (what !== '+' && this.#clients.size > 1) await this.#network.settle()
    switch (what) {
      case '+': return this.#network.pass(value as number)
      case '>':
        return client.send(
          value instanceof Uint8Array ? value : this.#fill(value).replaceAll('@key', this.#key)
        )
      case '<': return this.#compare(await client.nextJson(), value, label)
      case 'silent': return expectNoMessage(client)
      case 'ping': {
        const pong = new Promise<string>((resolve) =>
          client.socket.once('pong', (data) => resolve(data.toString()))
        )
        client.socket.ping('body')
        this.#t.equal(await pong, 'body')
        return
      }
      case 'pong': return client.socket.pong('unasked')
      case 'leaves': {
        client.close()
        await client.closed
        return
      }
      case 'closed': this.#t.same(await client.closed, { code: value, reason: 'goodbye' }, label)
    }
  }

  #compare (received: any, expected: unknown, label: string): void {
    if (UUID.test(received.ref)) received.ref = FRESH
    if (UUID.test(received.payload?.key)) {
      this.#key = received.payload.key
      received.payload.key = '@key'
    }
    for (const achievement of received.payload?.achievements ?? []) achievement.key = '@key'
    const filled = JSON.parse(this.#fill(expected))
    if (isDeepStrictEqual(received, filled)) this.#equal++
    else this.#t.strictSame(received, filled, label)
  }

  #fill (message: unknown): string {
    const text = typeof message === 'string' ? message : JSON.stringify(message)
    return text.replaceAll(PLACEHOLDER, (_, letter: string, field = 'name') => {
      const game = this.#gameOf(letter)
      return PLACEHOLDERS[field as keyof typeof PLACEHOLDERS](game)
    })
  }

  #gameOf (who: string): Game {
    return this.#network.nodes[0]!.games.get(`${who[0]}${this.#row}x`) as Game
  }
}

/** Takes all messages that the server has sent to a client. */
async function drain (client: Client): Promise<void> {
  client.send('{')
  while (await client.next() !== '{"status":"unknown"}');
}
