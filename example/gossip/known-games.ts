import { readFileSync } from 'node:fs'
import { Type, type Static } from '@fastify/type-provider-typebox'
import { Errors } from 'typebox/value'
import { Link } from './payloads.ts'
import { isSameSecret } from './secret.ts'

const UUID = '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$'

const KnownGameSchema = Type.Object({
  name: Type.String({ minLength: 1 }),
  // The name is part of topic names, which may not contain lone surrogates.
  short_name: Type.String({ minLength: 1, maxLength: 256, pattern: '^\\P{Cs}*$' }),
  client_id: Type.String({ pattern: UUID }),
  client_secret: Type.String({ pattern: UUID }),
  display: Type.Optional(Type.Boolean()),
  display_players: Type.Optional(Type.Boolean()),
  description: Type.Optional(Type.String()),
  homepage_url: Type.Optional(Type.String()),
  connections: Type.Optional(Type.Array(Link))
}, { additionalProperties: false })
export type KnownGame = Static<typeof KnownGameSchema>

const FileSchema = Type.Array(KnownGameSchema)

/** The same games on each node, so that nodes without GOSSIP_GAMES form one network too. */
export const DEMO_GAMES: readonly KnownGame[] = ['Ardent', 'Brume', 'Cinder'].map((name, i) => ({
  name: `${name} MUD`,
  short_name: name,
  client_id: `${i + 1}0000000-0000-4000-8000-000000000000`,
  client_secret: `${i + 1}0000000-0000-4000-8000-00000000000${i + 1}`,
  description: 'A game to try the network with.'
}))

/**
 * Reads the games of a JSON file. Throws for an invalid file, with its path and the place in it.
 */
export function readGames (path: string): readonly KnownGame[] {
  let games: unknown
  try {
    games = JSON.parse(readFileSync(path, 'utf8'))
  } catch (cause) {
    throw new Error(`GOSSIP_GAMES: ${path} cannot be read: ${(cause as Error).message}`, { cause })
  }
  const errors = Errors(FileSchema, games)
  // The next error names the key that is not allowed.
  const error = errors.find(({ message }) => message !== 'schema is false') ?? errors[0]
  if (error !== undefined) {
    throw new Error(`GOSSIP_GAMES: ${path}${error.instancePath} ${error.message}`)
  }
  return games as readonly KnownGame[]
}

/** The games that may join. Throws when two games have the same name or id. */
export class KnownGames {
  readonly #byShortName = new Map<string, KnownGame>()
  readonly #byLowerCase = new Map<string, KnownGame>()
  readonly #byClientId = new Map<string, KnownGame>()

  constructor (games: readonly KnownGame[]) {
    for (const game of games) {
      this.#byShortName.set(game.short_name, game)
      add(this.#byLowerCase, 'short_name', game.short_name.toLowerCase(), game)
      add(this.#byClientId, 'client_id', game.client_id.toLowerCase(), game)
    }
  }

  [Symbol.iterator] (): Iterator<KnownGame> {
    return this.#byShortName.values()
  }

  /** Finds a game by its short name, case-sensitively. */
  find (shortName: string): KnownGame | undefined {
    return this.#byShortName.get(shortName)
  }

  findInAnyCase (shortName: string): KnownGame | undefined {
    return this.#byLowerCase.get(shortName.toLowerCase())
  }

  /** Finds the game with these credentials, case-insensitively. */
  authenticate (clientId: unknown, clientSecret: unknown): KnownGame | undefined {
    if (typeof clientId !== 'string' || typeof clientSecret !== 'string') return undefined
    const game = this.#byClientId.get(clientId.toLowerCase())
    return game !== undefined &&
      isSameSecret(game.client_secret.toLowerCase(), clientSecret.toLowerCase())
      ? game
      : undefined
  }
}

function add (map: Map<string, KnownGame>, field: string, key: string, game: KnownGame): void {
  const other = map.get(key)
  if (other !== undefined) {
    throw new Error(`GOSSIP_GAMES: ${other.name} and ${game.name} have the same ${field}`)
  }
  map.set(key, game)
}
