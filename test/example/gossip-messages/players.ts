import { FRESH, type Row, type Step } from '../../helpers/gossip-script.ts'
import { ask, does, fails } from '../../helpers/gossip-steps.ts'

const flag = { supports: ['channels', 'players'] }
const news = (event: string, game: string, name: string): object => ({
  event,
  ref: FRESH,
  payload: { game, name }
})
const has = (who: string, game: string, players: string[]): Step[] => [
  [who, '>', ask('players/status', { game })],
  [who, '<', { event: 'players/status', ref: 1, payload: { game, players } }]
]

/**
 * Names of 256 characters, 259 with quotes and comma. 256 KiB have room for one more name.
 */
const LONG_LIST = Array.from({ length: 1011 }, (_, i) => `${i}`.padEnd(256, '.'))
const LAST = 'last'.padEnd(256, '.')

/** Section 6 of the protocol. */
export const PLAYERS: Row[] = [
  [
    'each request fails without the flag "players"',
    { A: {} },
    ...['players/sign-in', 'players/sign-out', 'players/status'].flatMap((event) =>
      [{ name: 'Al' }, {}, undefined].flatMap((payload) =>
        fails('A', event, payload, 'missing support for "players"')
      )
    ),
    ['A', '>', { event: 'players/sign-in', payload: { name: 'Al' } }],
    ['A', 'silent']
  ],
  [
    'players/sign-in puts the player first in the list, and notifies the other games with the flag',
    { A: { ...flag, players: ['Ash'] }, A2: flag, B: flag, C: {} },
    ...does('A', 'players/sign-in', { name: 'Al' }),
    ['B', '<', news('players/sign-in', '@A', 'Al')],
    ...['A', 'A2', 'B', 'C'].map((who): Step => [who, 'silent']),
    ...has('B', '@A', ['Al', 'Ash'])
  ],
  [
    'players/sign-in of a listed player is confirmed without a notification; case counts',
    { A: { ...flag, players: ['Al'] }, B: flag },
    ...does('A', 'players/sign-in', { name: 'Al' }),
    ['B', 'silent'],
    ...has('B', '@A', ['Al']),
    ...does('A', 'players/sign-in', { name: 'al' }),
    ['B', '<', news('players/sign-in', '@A', 'al')]
  ],
  [
    'players/sign-in with an empty name fails',
    { A: flag, B: flag },
    ...fails('A', 'players/sign-in', { name: '' }, 'Name cannot be empty'),
    ['B', 'silent'],
    ...has('A', '@A', [])
  ],
  [
    'players/sign-out removes the player from the list, and notifies the other games with the flag',
    { A: { ...flag, players: ['Al', 'Ash'] }, A2: flag, B: flag, C: {} },
    ...does('A2', 'players/sign-out', { name: 'Al' }),
    ['B', '<', news('players/sign-out', '@A', 'Al')],
    ...['A', 'A2', 'B', 'C'].map((who): Step => [who, 'silent']),
    ...has('B', '@A', ['Ash'])
  ],
  [
    'players/sign-out of a player who is not listed is not answered',
    { A: { ...flag, players: ['Al'] }, B: flag },
    ['A', '>', ask('players/sign-out', { name: 'al' })],
    ['A', 'silent'],
    ['B', 'silent'],
    ...has('B', '@A', ['Al'])
  ],
  [
    'a heartbeat replaces the whole list, without empty names and without notifications',
    { A: { ...flag, players: ['Al', ''] }, B: flag },
    ...has('B', '@A', ['Al']),
    ['A', '>', { event: 'heartbeat', ref: 1, payload: { players: ['Bo', '', 'Cy'] } }],
    ['A', 'silent'],
    ['B', 'silent'],
    ...has('B', '@A', ['Bo', 'Cy']),
    ['A', '>', { event: 'heartbeat', payload: {} }],
    ['A', 'silent'],
    ...has('B', '@A', []),
    ['A', '>', { event: 'heartbeat', payload: { players: ['Di'] } }],
    ['A', '>', { event: 'heartbeat' }],
    ['A', 'silent'],
    ...has('B', '@A', []),
    ...[['Di', 'Ed'], ['Di\nEd'], ['Di', 'Ed'], ['Ed', 'Di'], ['Ed']].flatMap((players): Step[] => [
      ['A', '>', { event: 'heartbeat', payload: { players } }],
      ['A', 'silent'],
      ...has('B', '@A', players)
    ])
  ],
  [
    'a list of 3000 players is kept, and can be replaced by a shorter one',
    { A: flag, B: flag },
    [
      'A',
      '>',
      {
        event: 'heartbeat',
        payload: { players: Array.from({ length: 3000 }, (_, i) => `Player ${i} ☃`) }
      }
    ],
    ['A', 'silent'],
    ...does('A', 'players/sign-in', { name: 'Zoe' }),
    ['B', '<', news('players/sign-in', '@A', 'Zoe')],
    ...has('B', '@A', ['Zoe', ...Array.from({ length: 3000 }, (_, i) => `Player ${i} ☃`)]),
    ['A', '>', { event: 'heartbeat', payload: { players: ['Al'] } }],
    ['A', 'silent'],
    ...has('B', '@A', ['Al'])
  ],
  [
    'players/sign-in fails when the list would be larger than 256 KiB, the largest frame',
    { A: flag, B: flag },
    ['A', '>', { event: 'heartbeat', payload: { players: LONG_LIST } }],
    ['A', 'silent'],
    ...does('A', 'players/sign-in', { name: LAST }),
    ['B', '<', news('players/sign-in', '@A', LAST)],
    ...fails('A', 'players/sign-in', { name: 'n'.repeat(256) }, 'an error occurred, try again'),
    ['B', 'silent'],
    ...has('B', '@A', [LAST, ...LONG_LIST]),
    ...does('A', 'players/sign-in', { name: LAST }),
    ...does('A', 'players/sign-out', { name: LAST }),
    ['B', '<', news('players/sign-out', '@A', LAST)],
    ...does('A', 'players/sign-in', { name: 'Zoe' }),
    ['B', '<', news('players/sign-in', '@A', 'Zoe')]
  ],
  [
    'players/status without a ref, or with the ref null, is not answered',
    { A: flag, B: flag },
    ['A', '>', { event: 'players/status' }],
    ['A', '>', ask('players/status', undefined, null)],
    ['A', '>', ask('players/status', { game: '@B' }, null)],
    ['A', '>', { event: 'players/status', payload: { game: 'Nobody' } }],
    ['A', 'silent']
  ],
  [
    'players/status with a game is one answer, also for the own game; the case of its name counts',
    { A: { ...flag, players: ['Al'] }, B: flag },
    ...has('A', '@A', ['Al']),
    ...has('A', '@B', []),
    ['A', 'silent'],
    ...['Nobody', 'grapevine', '', '@A.lower', '@C'].flatMap((game) =>
      fails('A', 'players/status', { game }, 'unknown game')
    )
  ],
  [
    'a hidden game causes no notifications, and players/status finds it by name',
    { H: { ...flag, players: ['Hal'] }, B: flag },
    ...does('H', 'players/sign-in', { name: 'Hob' }),
    ...does('H', 'players/sign-out', { name: 'Hal' }),
    ['B', 'silent'],
    ...has('B', '@H', ['Hob'])
  ],
  [
    'a game with hidden players causes no notifications, and players/status shows no players',
    { P: { ...flag, players: ['Pat'] }, B: flag },
    ...does('P', 'players/sign-in', { name: 'Pip' }),
    ...does('P', 'players/sign-out', { name: 'Pat' }),
    ['B', 'silent'],
    ...has('B', '@P', [])
  ]
]
