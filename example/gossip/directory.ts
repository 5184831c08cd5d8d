import { isDeepStrictEqual } from 'node:util'
import { Type, type Static } from '@fastify/type-provider-typebox'
import { Compile } from 'typebox/compile'
import type { Websock } from 'fastify-websock'
import { topics } from './topics.ts'

/** A game that has been seen within the last 60 s, as all nodes together know it. */
export interface OnlineGame {
  readonly supports: readonly string[]
  readonly channels: readonly string[]
  readonly players: readonly string[]
  readonly userAgent: string
}

/**
 * What one node tells of a game is lists, and a list is one or more of these: an entry of presence
 * holds 8 KiB.
 */
const PartSchema = Type.Object({
  list: Type.Union([
    Type.Literal('supports'),
    Type.Literal('channels'),
    Type.Literal('players'),
    Type.Literal('userAgent')
  ]),
  /** Of the same list of another node, the newer edition counts. */
  edition: Type.Integer({ minimum: 0 }),
  part: Type.Integer({ minimum: 0 }),
  names: Type.Array(Type.String())
})
type Part = Static<typeof PartSchema>
type List = Part['list']
type Told = Part & { readonly address: string }

/** Of the worst name, which is 256 times six bytes, there is room for more than one. */
const MAX_PART_BYTES = 6 * 1024

const partCheck = Compile(PartSchema)

interface OwnWord {
  forget: NodeJS.Timeout | undefined
  /** Each list as it was told, and in how many parts. */
  readonly lists: Map<List, { readonly names: readonly string[], readonly parts: number }>
}

/**
 * What is known of each game, by way of presence: each node tells what it has seen, for 60 s, and a
 * node that is gone has told nothing.
 */
export class Directory {
  readonly #websock: Websock
  readonly #onlineForMs: number
  readonly #own = new Map<string, OwnWord>()

  constructor (websock: Websock, onlineForMs: number) {
    this.#websock = websock
    this.#onlineForMs = onlineForMs
  }

  /**
   * Undefined: it is not online. Sockets of one game may be on several nodes, so flags and channels
   * are those of all.
   */
  find (game: string): OnlineGame | undefined {
    const told = this.#read(game)
    if (told.length === 0) return undefined
    return {
      supports: unionOf(told, 'supports'),
      channels: unionOf(told, 'channels'),
      players: newestOf(told, 'players').names,
      userAgent: newestOf(told, 'userAgent').names[0] ?? ''
    }
  }

  /** The game was seen here, now. Players that are left out stay as they are. */
  see (
    game: string,
    { supports, channels, userAgent, players }: Partial<OnlineGame> & Omit<OnlineGame, 'players'>
  ): void {
    const own: OwnWord = this.#own.get(game) ?? { forget: undefined, lists: new Map() }
    this.#own.set(game, own)
    clearTimeout(own.forget)
    own.forget = setTimeout(() => this.#forget(game), this.#onlineForMs).unref()
    this.#tell(game, own, 'supports', supports, 0)
    this.#tell(game, own, 'channels', channels, 0)
    this.#replace(game, own, 'userAgent', [userAgent])
    this.#replace(game, own, 'players', players)
  }

  #forget (game: string): void {
    for (const [list, { parts }] of this.#own.get(game)?.lists ?? []) {
      this.#cut(game, list, 0, parts)
    }
    this.#own.delete(game)
  }

  /**
   * A list that the last who speaks decides, on whichever node. Who says the same, or nothing of
   * it, tells it as well, in the same edition: so it stays when the other node has gone.
   */
  #replace (game: string, own: OwnWord, list: List, given: readonly string[] | undefined): void {
    const newest = newestOf(this.#read(game), list)
    const names = given ?? newest.names
    const isNews = !isDeepStrictEqual(names, newest.names)
    if (isNews || !isDeepStrictEqual(names, own.lists.get(list)?.names ?? [])) {
      this.#tell(game, own, list, names, newest.edition + (isNews ? 1 : 0))
    }
  }

  #tell (game: string, own: OwnWord, list: List, names: readonly string[], edition: number): void {
    const chunks = chunksOf(names)
    chunks.forEach((names, part) =>
      this.#websock.track(topics.game(game), `${list} ${part}`, { list, edition, part, names })
    )
    this.#cut(game, list, chunks.length, own.lists.get(list)?.parts ?? 0)
    own.lists.set(list, { names, parts: chunks.length })
  }

  #cut (game: string, list: List, from: number, to: number): void {
    for (let part = from; part < to; part++) {
      this.#websock.untrack(topics.game(game), `${list} ${part}`)
    }
  }

  /** What comes from other nodes is a stranger's. */
  #read (game: string): Told[] {
    return this.#websock
      .presence(topics.game(game))
      .flatMap(({ meta, address }) => (partCheck.Check(meta) ? [{ ...meta, address }] : []))
  }
}

function unionOf (told: readonly Told[], list: List): string[] {
  return [...new Set(told.flatMap((one) => one.list === list ? one.names : []))]
}

function newestOf (told: readonly Told[], list: List): { names: string[], edition: number } {
  const parts = told.filter((one) => one.list === list)
  const [newest] = parts.toSorted(
    (a, b) => b.edition - a.edition || (a.address < b.address ? -1 : 1)
  )
  if (newest === undefined) return { names: [], edition: 0 }
  const names = parts
    .filter(({ address }) => address === newest.address)
    .sort((a, b) => a.part - b.part)
    .flatMap(({ names }) => names)
  return { names, edition: newest.edition }
}

/** One at least, as small as an entry of presence must be. */
function chunksOf (names: readonly string[]): string[][] {
  const chunks: string[][] = [[]]
  let room = MAX_PART_BYTES
  for (const name of names) {
    room -= Buffer.byteLength(JSON.stringify(name)) + 1
    if (room < 0) {
      chunks.push([])
      room = MAX_PART_BYTES
    }
    chunks.at(-1)?.push(name)
  }
  return chunks
}
