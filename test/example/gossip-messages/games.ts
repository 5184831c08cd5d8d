import { FRESH, type Row, type Step } from '../../helpers/gossip-script.ts'
import { ask, does, enters, fails } from '../../helpers/gossip-steps.ts'

const games = { supports: ['channels', 'games'] }
const status = (game: string, more: object = {}, ref: unknown = 1): object => ({
  event: 'games/status',
  ref,
  status: 'success',
  payload: {
    game,
    display_name: `The game ${game}`,
    supports: ['channels', 'games'],
    channels: [],
    player_online_count: 0,
    ...more
  }
})
const links = {
  description: 'd',
  homepage_url: 'http://d.example',
  connections: [
    { type: 'web', url: 'http://d.example/play' },
    { type: 'secure telnet', host: 'd.example', port: 4000 }
  ]
}

/** Section 8 of the protocol. */
export const GAMES: Row[] = [
  [
    'games/connect is sent for the first socket of a game, to the other games with the flag',
    { A: games, B: {}, C: null, C2: null },
    ...enters('C'),
    ['A', '<', { event: 'games/connect', ref: FRESH, payload: { game: '@C' } }],
    ['B', 'silent'],
    ['C', 'silent'],
    ...enters('C2'),
    ['A', 'silent'],
    ['C', 'silent']
  ],
  [
    'games/connect is not sent for a game that reconnects while it is online',
    { A: games, B: games, B2: null },
    ['B', 'leaves'],
    ...enters('B2'),
    ['A', 'silent']
  ],
  [
    'games/status needs the flag, and is not answered without a ref or with the ref null',
    { A: games, B: {} },
    ...fails('B', 'games/status', undefined, 'missing support for "games"'),
    ['A', '>', { event: 'games/status' }],
    ['A', '>', ask('games/status', { game: '@A' }, null)],
    ['A', '>', { event: 'games/status', payload: { game: 'Nobody' } }],
    ['A', 'silent']
  ],
  [
    'games/status with a game describes that game, or fails with "unknown game"',
    {
      A: games,
      D: { ...games, channels: ['gossip', 'x'], user_agent: 'Mud 1.0', players: ['Di'] },
      H: games
    },
    ['A', '>', ask('games/status', { game: '@D' })],
    [
      'A',
      '<',
      status('@D', {
        channels: ['gossip'],
        player_online_count: 1,
        user_agent: 'Mud 1.0',
        ...links
      })
    ],
    ['A', '>', ask('games/status', { game: '@A' })],
    ['A', '<', status('@A')],
    ['A', '>', ask('games/status', { game: '@H' })],
    ['A', '<', status('@H')],
    ['A', 'silent'],
    ...['Nobody', 'grapevine', '@A.lower', '@C'].flatMap((game) =>
      fails('A', 'games/status', { game }, 'unknown game')
    )
  ],
  [
    'games/status has the flags and channels of all sockets of a game',
    { A: games, B: { channels: ['one'] }, B2: { ...games, channels: ['two'] } },
    ['A', '>', ask('games/status', { game: '@B' })],
    ['A', '<', status('@B', { channels: ['one', 'two'] })],
    ...does('B', 'channels/unsubscribe', { channel: 'one' }),
    ...does('B', 'channels/subscribe', { channel: 'other' }),
    ['A', '>', ask('games/status', { game: '@B' })],
    ['A', '<', status('@B', { channels: ['other', 'two'] })]
  ]
]

const playersOf = (game: string, players: string[] = []): object => ({
  event: 'players/status',
  ref: 'r',
  payload: { game, players }
})
const CHANNELS_AND_PLAYERS = { supports: ['channels', 'players'] }

/** Must be the first row of its network, because it expects that no other game is online. */
export const STATUS_OF_ALL: Row = [
  'a status without a game is one answer for each other online game, except hidden games',
  { A: CHANNELS_AND_PLAYERS, A2: games, B: null, C: null, D: null, H: null, P: null },
  ['A', '>', ask('players/status')],
  ['A', 'silent'],
  ['A2', '>', ask('games/status')],
  ['A2', 'silent'],
  ['A2', 'leaves'],
  ...enters('B', { ...CHANNELS_AND_PLAYERS, players: ['Bo'] }),
  ...enters('C', { supports: ['channels'] }),
  ...enters('H'),
  ...enters('P', { ...CHANNELS_AND_PLAYERS, players: ['Pat'] }),
  ...[undefined, {}, null].flatMap((payload): Step[] => [
    ['A', '>', ask('players/status', payload, 'r')],
    ['A', '<', playersOf('@B', ['Bo'])],
    ['A', '<', playersOf('@C')],
    ['A', '<', playersOf('@P')],
    ['A', 'silent']
  ]),
  ...enters('D'),
  ...[undefined, {}].flatMap((payload): Step[] => [
    ['D', '>', ask('games/status', payload, 'r')],
    ['D', '<', status('@A', CHANNELS_AND_PLAYERS, 'r')],
    ['D', '<', status('@B', { ...CHANNELS_AND_PLAYERS, player_online_count: 1 }, 'r')],
    ['D', '<', status('@C', { supports: ['channels'] }, 'r')],
    ['D', '<', status('@P', CHANNELS_AND_PLAYERS, 'r')],
    ['D', 'silent']
  ])
]
