import t from 'tap'
import { ONE_NODE, TWO_NODES } from '../helpers/gossip-network.ts'
import { playTables } from '../helpers/gossip-script.ts'
import { ACHIEVEMENTS } from './gossip-messages/achievements.ts'
import { AUTHENTICATION } from './gossip-messages/authentication.ts'
import { CHANNELS } from './gossip-messages/channels.ts'
import { ENVELOPE } from './gossip-messages/envelope.ts'
import { GAMES, STATUS_OF_ALL } from './gossip-messages/games.ts'
import { LIMITS } from './gossip-messages/limits.ts'
import { MALFORMED } from './gossip-messages/malformed.ts'
import { PLAYERS } from './gossip-messages/players.ts'
import { TELLS } from './gossip-messages/tells.ts'

// All tables of a network share its servers: starting them took most of the time.
// `tap --grep='/nodes on NATS/' --grep=/tells/` runs one table.

const TABLES = {
  'status of all games': [STATUS_OF_ALL],
  envelope: ENVELOPE,
  'malformed requests': MALFORMED,
  authentication: AUTHENTICATION,
  channels: CHANNELS,
  players: PLAYERS,
  tells: TELLS,
  games: GAMES,
  limits: LIMITS
}

void t.test(ONE_NODE.name, (t) =>
  playTables(t, { ...TABLES, achievements: ACHIEVEMENTS }, ONE_NODE))

for (const on of TWO_NODES) {
  // Without achievements, which are in the memory of one node.
  void t.test(on.name, { skip: on.skip }, (t) => playTables(t, TABLES, on))
}
