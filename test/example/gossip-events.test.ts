import t from 'tap'
import { ONE_NODE, TWO_NODES } from '../helpers/gossip-network.ts'
import { FRESH, playRows, times, type Row, type Step } from '../helpers/gossip-script.ts'

const ok = (event: string, ref: unknown = 1): object => ({ event, ref, status: 'success' })
const failed = (event: string, error: string, ref: unknown = 1): object => ({
  event,
  ref,
  status: 'failure',
  error
})
const ask = (event: string, payload?: unknown, ref: unknown = 1): object => ({
  event,
  ref,
  ...(payload !== undefined && { payload })
})
const does = (who: string, event: string, payload: object): Step[] => [
  [who, '>', ask(event, payload)],
  [who, '<', ok(event)]
]
const fails = (who: string, event: string, payload: unknown, error: string): Step[] => [
  [who, '>', ask(event, payload)],
  [who, '<', failed(event, error)]
]

// ── section 5

const gossip = { channels: ['gossip'] }
const talk = (game: string, name = '', message = '', channel = 'gossip'): object => ({
  event: 'channels/broadcast',
  ref: FRESH,
  payload: { channel, game, name, message }
})

/** A name for each number. */
const letters = (n: number): string =>
  `ch-${[...`${n}`].map((digit) => 'abcdefghij'[Number(digit)]).join('')}`

const CHANNELS: Row[] = [
  [
    'a name of 3 to 15 letters, - and _ is a channel; others fail with their text',
    { A: {}, A2: {} },
    ...['abc', 'a-B_c', '---', 'fifteen-letters'].flatMap((channel) =>
      does('A', 'channels/subscribe', { channel })
    ),
    ...['', 'ab', 'sixteen-letters_', 'a b', 'abc1', 'übel', 'all', 'aLl', '<b>', 'abc\n'].flatMap(
      (channel) =>
        fails('A2', 'channels/subscribe', { channel }, `Could not subscribe to "${channel}"`)
    ),
    ...fails('A2', 'channels/subscribe', { channel: null }, 'Could not subscribe to ""')
  ],
  [
    'the case of a name counts',
    { A: { channels: ['Gossip'] }, B: gossip },
    ...does('B', 'channels/send', { channel: 'gossip', message: 'm' }),
    ['A', 'silent'],
    ...does('A', 'channels/subscribe', { channel: 'gossip' }),
    ...does('B', 'channels/send', { channel: 'gossip', message: 'n' }),
    ['A', '<', talk('@B', '', 'n')]
  ],
  [
    'a channel that is missing is confirmed, and nothing is done',
    { A: {} },
    ...['channels/subscribe', 'channels/unsubscribe', 'channels/send'].flatMap((event) =>
      does('A', event, {})
    )
  ],
  [
    'subscribing twice is confirmed, and each message arrives once',
    { A: gossip, B: gossip },
    ...does('A', 'channels/subscribe', { channel: 'gossip' }),
    ...does('B', 'channels/send', { channel: 'gossip', message: 'm' }),
    ['A', '<', talk('@B', '', 'm')],
    ['A', 'silent']
  ],
  [
    'unsubscribing stops the messages; what is not subscribed is confirmed',
    { A: gossip, B: gossip },
    ...does('A', 'channels/unsubscribe', { channel: 'gossip' }),
    ...does('A', 'channels/unsubscribe', { channel: 'gossip' }),
    ...does('A', 'channels/unsubscribe', { channel: null }),
    ...does('B', 'channels/send', { channel: 'gossip', message: 'm' }),
    ['A', 'silent']
  ],
  [
    'what is sent arrives at all sockets that subscribe, but for those of its own game',
    { A: gossip, A2: gossip, B: gossip, B2: gossip, C: {}, D: null },
    ...does('A', 'channels/send', { channel: 'gossip', name: 'Al', message: 'hi', id: 5 }),
    ...['B', 'B2'].map((who): Step => [who, '<', talk('@A', 'Al', 'hi')]),
    ...['A', 'A2', 'B', 'C'].map((who): Step => [who, 'silent'])
  ],
  [
    'who has not subscribed is confirmed, and not heard',
    { A: {}, B: gossip },
    ...does('A', 'channels/send', { channel: 'gossip', message: 'm' }),
    ...does('A', 'channels/send', { channel: null, message: 'm' }),
    ['B', 'silent']
  ],
  [
    'name and message are empty when missing, and lose all tags',
    { A: gossip, B: gossip },
    ...does('B', 'channels/send', { channel: 'gossip' }),
    ['A', '<', talk('@B')],
    ...does('B', 'channels/send', {
      channel: 'gossip',
      name: '<b>B</b>',
      message: "<send 'x'>1 < 2 >3<> a<b"
    }),
    ['A', '<', talk('@B', 'B', '1 3 a<b')],
    ...does('B', 'channels/send', { channel: 'gossip', message: ` ${'é'.repeat(20_000)}\n` }),
    ['A', '<', talk('@B', '', ` ${'é'.repeat(20_000)}\n`)]
  ],
  [
    'tags that never end stay, however many there are',
    { A: gossip, B: gossip },
    ...['<'.repeat(200_000), `<b>b</b>${'<'.repeat(200_000)}`, `<${'<>'.repeat(50_000)}`].flatMap(
      (message, i): Step[] => [
        ...does('B', 'channels/send', { channel: 'gossip', message }),
        ['A', '<', talk('@B', '', ['<'.repeat(200_000), `b${'<'.repeat(200_000)}`, ''][i])]
      ]
    )
  ],
  [
    'a socket has at most 256 channels',
    { A: { channels: Array.from({ length: 256 }, (_, n) => letters(n)) } },
    ...fails('A', 'channels/subscribe', { channel: 'gossip' }, 'Could not subscribe to "gossip"'),
    ...does('A', 'channels/subscribe', { channel: letters(255) }),
    ...does('A', 'channels/unsubscribe', { channel: letters(0) }),
    ...does('A', 'channels/subscribe', { channel: 'gossip' })
  ],
  [
    'confirmations come in the order of their requests, broadcasts in that of their sender',
    { A: gossip, B: gossip },
    ...[1, 2, 3, 4].map((ref): Step => [
      'B',
      '>',
      ask('channels/send', { channel: 'gossip', message: `${ref}` }, ref)
    ]),
    ...[1, 2, 3, 4].map((ref): Step => ['B', '<', ok('channels/send', ref)]),
    ...[1, 2, 3, 4].map((ref): Step => ['A', '<', talk('@B', '', `${ref}`)])
  ]
]

// ── section 6

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
 * Names of 256 characters, 259 with what is around them: 256 KiB have room for one more than these.
 */
const LONG_LIST = Array.from({ length: 1011 }, (_, i) => `${i}`.padEnd(256, '.'))
const LAST = 'last'.padEnd(256, '.')

const PLAYERS: Row[] = [
  [
    'without the flag all fails',
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
    'who signs in is put in front, and announced to the others with the flag',
    { A: { ...flag, players: ['Ash'] }, A2: flag, B: flag, C: {} },
    ...does('A', 'players/sign-in', { name: 'Al' }),
    ['B', '<', news('players/sign-in', '@A', 'Al')],
    ...['A', 'A2', 'B', 'C'].map((who): Step => [who, 'silent']),
    ...has('B', '@A', ['Al', 'Ash'])
  ],
  [
    'who is there already is confirmed, and no news',
    { A: { ...flag, players: ['Al'] }, B: flag },
    ...does('A', 'players/sign-in', { name: 'Al' }),
    ['B', 'silent'],
    ...has('B', '@A', ['Al']),
    ...does('A', 'players/sign-in', { name: 'al' }),
    ['B', '<', news('players/sign-in', '@A', 'al')]
  ],
  [
    'an empty name cannot sign in',
    { A: flag, B: flag },
    ...fails('A', 'players/sign-in', { name: '' }, 'Name cannot be empty'),
    ['B', 'silent'],
    ...has('A', '@A', [])
  ],
  [
    'who signs out is taken from the list, and announced',
    { A: { ...flag, players: ['Al', 'Ash'] }, A2: flag, B: flag, C: {} },
    ...does('A2', 'players/sign-out', { name: 'Al' }),
    ['B', '<', news('players/sign-out', '@A', 'Al')],
    ...['A', 'A2', 'B', 'C'].map((who): Step => [who, 'silent']),
    ...has('B', '@A', ['Ash'])
  ],
  [
    'signing out who is not there is not answered at all',
    { A: { ...flag, players: ['Al'] }, B: flag },
    ['A', '>', ask('players/sign-out', { name: 'al' })],
    ['A', 'silent'],
    ['B', 'silent'],
    ...has('B', '@A', ['Al'])
  ],
  [
    'a heartbeat replaces the whole list, without empty names and without news',
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
    'the list is as long as it is',
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
    'the list is as long as a frame, and no longer',
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
    'a status is asked with a ref that is not null',
    { A: flag, B: flag },
    ['A', '>', { event: 'players/status' }],
    ['A', '>', ask('players/status', undefined, null)],
    ['A', '>', ask('players/status', { game: '@B' }, null)],
    ['A', '>', { event: 'players/status', payload: { game: 'Nobody' } }],
    ['A', 'silent']
  ],
  [
    "a status by name is one answer, one's own too, in exact case; else an unknown game",
    { A: { ...flag, players: ['Al'] }, B: flag },
    ...has('A', '@A', ['Al']),
    ...has('A', '@B', []),
    ['A', 'silent'],
    ...['Nobody', 'grapevine', '', 'a1x', '@C'].flatMap((game) =>
      fails('A', 'players/status', { game }, 'unknown game')
    )
  ],
  [
    'a hidden game announces nobody, and is answered by name',
    { H: { ...flag, players: ['Hal'] }, B: flag },
    ...does('H', 'players/sign-in', { name: 'Hob' }),
    ...does('H', 'players/sign-out', { name: 'Hal' }),
    ['B', 'silent'],
    ...has('B', '@H', ['Hob'])
  ],
  [
    'a game with hidden players announces nobody, and shows none',
    { P: { ...flag, players: ['Pat'] }, B: flag },
    ...does('P', 'players/sign-in', { name: 'Pip' }),
    ...does('P', 'players/sign-out', { name: 'Pat' }),
    ['B', 'silent'],
    ...has('B', '@P', [])
  ]
]

const ALL_PLAYERS: Row[] = [
  [
    "a status without a game is one answer for each online game that shows itself, never for one's own",
    { A: flag, B: { ...flag, players: ['Bo'] }, C: {}, H: flag, P: { ...flag, players: ['Pat'] } },
    ...[undefined, {}, null].flatMap((payload): Step[] => [
      ['A', '>', ask('players/status', payload, 'r')],
      ['A', '<', { event: 'players/status', ref: 'r', payload: { game: '@B', players: ['Bo'] } }],
      ['A', '<', { event: 'players/status', ref: 'r', payload: { game: '@C', players: [] } }],
      ['A', '<', { event: 'players/status', ref: 'r', payload: { game: '@P', players: [] } }],
      ['A', 'silent']
    ])
  ],
  [
    'with nobody else online there is no answer',
    { A: flag },
    ['A', '>', ask('players/status')],
    ['A', 'silent']
  ]
]

// ── section 7

const all = { supports: ['channels', 'players', 'tells'] }
const tell = {
  from_name: 'Al',
  to_game: '@B',
  to_name: 'Bo',
  sent_at: '2018-08-27T12:00:00Z',
  message: 'psst'
}
const pair = { A: { ...all, players: ['Al'] }, B: { ...all, players: ['Bo'] } }
const received = (more: object = {}): object => ({
  event: 'tells/receive',
  ref: FRESH,
  payload: {
    from_game: '@A',
    from_name: 'Al',
    to_name: 'Bo',
    sent_at: tell.sent_at,
    message: 'psst',
    ...more
  }
})

const TELLS: Row[] = [
  [
    'a tell is confirmed, and arrives at the sockets of that game with the flag',
    { ...pair, B2: all, B3: {}, C: all },
    ...does('A', 'tells/send', tell),
    ['B', '<', received()],
    ['B2', '<', received()],
    ...['A', 'B', 'B3', 'C'].map((who): Step => [who, 'silent'])
  ],
  [
    'without a ref it arrives too',
    pair,
    ['A', '>', { event: 'tells/send', payload: tell }],
    ['A', 'silent'],
    ['B', '<', received()]
  ],
  [
    'the case of names does not count; they and the text arrive as typed',
    pair,
    [
      'A',
      '>',
      JSON.stringify(
        ask('tells/send', { ...tell, from_name: 'aL', to_name: 'bO', message: '<b> psst' })
      )
        .replace('@B', 'b1X')
        .replace('b1X', '@B')
    ],
    ['A', '<', ok('tells/send')],
    ['B', '<', received({ from_name: 'aL', to_name: 'bO', message: '<b> psst' })]
  ],
  [
    "a tell to one's own game is delivered to it",
    pair,
    ['A', '>', ask('tells/send', { ...tell, to_game: '@A', to_name: 'al' })],
    // To its own mailbox: before or behind the confirmation.
    ['A', '<', ok('tells/send')],
    ['A', '<', received({ to_name: 'al' })]
  ],
  [
    'the sender needs the flag, whatever it sends',
    { A: { players: ['Al'] }, B: pair.B },
    ...[tell, {}, undefined].flatMap((payload) =>
      fails('A', 'tells/send', payload, 'missing support for "tells"')
    )
  ],
  [
    'the payload has exactly these keys, all text',
    pair,
    ...[
      undefined,
      null,
      'text',
      {},
      { ...tell, more: 1 },
      { ...tell, message: 5 },
      { ...tell, to_name: null },
      { ...tell, from_name: undefined }
    ].flatMap((payload) => fails('A', 'tells/send', payload, 'invalid payload')),
    ['A', '>', { event: 'tells/send', payload: {} }],
    ['A', 'silent'],
    ['B', 'silent']
  ],
  [
    'sent_at is a moment in UTC',
    pair,
    ...['2018-08-27T12:00:00.5Z', '2018-08-27T12:00:00.123456Z', '2020-02-29T23:59:59Z'].flatMap(
      (at): Step[] => [
        ...does('A', 'tells/send', { ...tell, sent_at: at }),
        ['B', '<', received({ sent_at: at })]
      ]
    ),
    ...[
      '',
      'now',
      '2018-08-27',
      '2018-08-27T12:00:00',
      '2018-08-27T12:00:00+00:00',
      '2018-08-27T14:00:00+02:00',
      '2018-02-30T12:00:00Z',
      '2018-13-01T12:00:00Z',
      '2018-08-27T25:00:00Z',
      '2018-08-27 12:00:00Z',
      '20180827T120000Z',
      '2018-08-27T12:00:00Z ',
      '2018-08-27T12:00:00.Z'
    ].flatMap((at) => fails('A', 'tells/send', { ...tell, sent_at: at }, 'invalid payload'))
  ],
  [
    'the errors come in their order',
    { ...pair, C: { supports: ['channels', 'players'], players: ['Cy'] } },
    ...(
      [
        ['invalid payload', { to_game: 'Nobody', sent_at: 'now' }],
        ['game offline', { to_game: 'Nobody', from_name: 'Nobody' }],
        ['game offline', { to_game: '@D' }],
        ['game offline', { to_game: 'grapevine', to_name: 'system' }],
        ['not supported', { to_game: '@C', from_name: 'Nobody', to_name: 'Cy' }],
        ['sending player offline', { from_name: 'Nobody', to_name: 'Nobody' }],
        ['receiving player offline', { to_name: 'Nobody' }]
      ] as const
    ).flatMap(([error, payload]) => fails('A', 'tells/send', { ...tell, ...payload }, error)),
    ['B', 'silent']
  ],
  [
    'a game whose players are hidden does not support tells',
    { A: pair.A, P: { ...all, players: ['Pat'] } },
    ...fails('A', 'tells/send', { ...tell, to_game: '@P', to_name: 'Pat' }, 'not supported')
  ]
]

// ── section 8

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
const enters = (who: string, payload: object = {}): Step[] => [
  [
    who,
    '>',
    {
      event: 'authenticate',
      payload: {
        client_id: `@${who[0]}.id`,
        client_secret: `@${who[0]}.secret`,
        supports: ['channels', 'games'],
        ...payload
      }
    }
  ],
  [
    who,
    '<',
    { event: 'authenticate', status: 'success', payload: { unicode: '✔️', version: '2.3.0' } }
  ],
  [who, '<', { event: 'heartbeat' }]
]

const GAMES: Row[] = [
  [
    'the first socket of a game is announced to the others with the flag, the second is not',
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
    'a game that comes back while it is online is not announced',
    { A: games, B: games, B2: null },
    ['B', 'leaves'],
    ...enters('B2'),
    ['A', 'silent']
  ],
  [
    'a status is asked with the flag, and a ref that is not null',
    { A: games, B: {} },
    ...fails('B', 'games/status', undefined, 'missing support for "games"'),
    ['A', '>', { event: 'games/status' }],
    ['A', '>', ask('games/status', { game: '@A' }, null)],
    ['A', '>', { event: 'games/status', payload: { game: 'Nobody' } }],
    ['A', 'silent']
  ],
  [
    'a status by name is that game, or unknown',
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
    ...['Nobody', 'grapevine', 'a1x', '@C'].flatMap((game) =>
      fails('A', 'games/status', { game }, 'unknown game')
    )
  ],
  [
    'flags and channels are those of all sockets of a game',
    { A: games, B: { channels: ['one'] }, B2: { ...games, channels: ['two'] } },
    ['A', '>', ask('games/status', { game: '@B' })],
    ['A', '<', status('@B', { channels: ['one', 'two'] })],
    ...does('B', 'channels/unsubscribe', { channel: 'one' }),
    ...does('B', 'channels/subscribe', { channel: 'other' }),
    ['A', '>', ask('games/status', { game: '@B' })],
    ['A', '<', status('@B', { channels: ['other', 'two'] })]
  ]
]

const ALL_GAMES: Row[] = [
  [
    'a status without a game is one answer for each online game that shows itself, never oneself',
    { A: games, B: games, D: games, H: games },
    ...[undefined, {}].flatMap((payload): Step[] => [
      ['A', '>', ask('games/status', payload, 'r')],
      ['A', '<', status('@B', {}, 'r')],
      ['A', '<', status('@D', links, 'r')],
      ['A', 'silent']
    ])
  ]
]

// ── section 9

const achieve = { supports: ['channels', 'achievements'] }
const wrong = (event: string, errors: object): object => ({
  event,
  ref: 1,
  status: 'failure',
  payload: { errors }
})
const made = (payload: object): object => ({
  key: '@key',
  title: 'T',
  description: null,
  display: true,
  points: 0,
  partial_progress: false,
  total_progress: null,
  ...payload
})
const creates = (attributes: object): Step[] => [
  ['A', '>', ask('achievements/create', attributes)],
  ['A', '<', { event: 'achievements/create', ref: 1, status: 'success', payload: made(attributes) }]
]
const ERROR = 'an error occurred, try again'
const EVENTS = ['sync', 'create', 'update', 'delete'].map((name) => `achievements/${name}`)

const ACHIEVEMENTS: Row[] = [
  [
    'all need the flag',
    { A: {} },
    ...EVENTS.flatMap((event) =>
      fails('A', event, { title: 'T' }, 'missing support for "achievements"')
    )
  ],
  [
    'all need a ref: without one nothing is done, with null it fails',
    { A: achieve },
    ...EVENTS.flatMap((event): Step[] => [
      ['A', '>', { event, payload: { title: 'T' } }],
      ['A', 'silent'],
      ['A', '>', ask(event, { title: 'T' }, null)],
      ['A', '<', failed(event, ERROR, null)]
    ]),
    ['A', '>', ask('achievements/sync')],
    ['A', '<', { event: 'achievements/sync', ref: 1, payload: { total: 0, achievements: [] } }]
  ],
  [
    "what is created has its defaults, and a key of the server's",
    { A: achieve },
    ...creates({ title: 'T' }),
    ...creates({
      title: 'T',
      description: 'd',
      display: false,
      points: 100,
      partial_progress: true,
      total_progress: 5
    }),
    ...creates({ title: 'T', description: null, total_progress: null }),
    ['A', '>', ask('achievements/create', { title: 'T', description: '', total_progress: '' })],
    ['A', '<', { event: 'achievements/create', ref: 1, status: 'success', payload: made({}) }],
    ['A', '>', ask('achievements/create', { title: 'T', key: 'mine', extra: 1 })],
    ['A', '<', { event: 'achievements/create', ref: 1, status: 'success', payload: made({}) }]
  ],
  [
    'what is wrong with it is told by field',
    { A: achieve },
    ...(
      [
        [undefined, { title: ["can't be blank"] }],
        [null, { title: ["can't be blank"] }],
        [{ title: ' ' }, { title: ["can't be blank"] }],
        [
          {
            title: 5,
            description: 5,
            display: 'yes',
            points: '5',
            partial_progress: 1,
            total_progress: 1.5
          },
          {
            title: ['is invalid'],
            description: ['is invalid'],
            display: ['is invalid'],
            points: ['is invalid'],
            partial_progress: ['is invalid'],
            total_progress: ['is invalid']
          }
        ],
        [
          { title: 'T', display: null, points: null, partial_progress: null },
          {
            display: ["can't be blank"],
            points: ["can't be blank"],
            partial_progress: ["can't be blank"]
          }
        ],
        [
          { title: 't'.repeat(256), description: 'd'.repeat(4097) },
          {
            title: ['should be at most 255 character(s)'],
            description: ['should be at most 4096 character(s)']
          }
        ],
        [{ title: 'T', total_progress: ' ' }, { total_progress: ['is invalid'] }],
        [{ title: 'T', points: -1 }, { points: ['must be greater than or equal to 0'] }],
        [{ title: 'T', points: 101 }, { points: ['must be less than or equal to 100'] }],
        [{ title: 'T', partial_progress: true }, { total_progress: ["can't be blank"] }]
      ] as const
    ).flatMap(([attributes, errors]): Step[] => [
      ['A', '>', ask('achievements/create', attributes)],
      ['A', '<', wrong('achievements/create', errors)]
    ]),
    ['A', '>', ask('achievements/sync')],
    ['A', '<', { event: 'achievements/sync', ref: 1, payload: { total: 0, achievements: [] } }]
  ],
  [
    'no more are created once the points sum to 500',
    { A: achieve },
    ...times(5, ...creates({ title: 'T', points: 100 })),
    ['A', '>', ask('achievements/create', { title: 'T' })],
    ['A', '<', wrong('achievements/create', { points: ['no points left'] })]
  ],
  [
    'nor more than 500, those without points too',
    { A: achieve },
    ...times(500, ...creates({ title: 'T' }), ['time', '+', 1000]),
    ['A', '>', ask('achievements/create', { title: 'T' })],
    ['A', '<', wrong('achievements/create', { points: ['no points left'] })]
  ],
  [
    'what is updated keeps its key, and what is not named',
    { A: achieve, B: achieve },
    ...creates({ title: 'T', points: 5 }),
    ['A', '>', ask('achievements/update', { key: '@key', title: 'U', description: 'd' })],
    [
      'A',
      '<',
      {
        event: 'achievements/update',
        ref: 1,
        status: 'success',
        payload: made({ title: 'U', description: 'd', points: 5 })
      }
    ],
    ['A', '>', ask('achievements/update', { key: '@key', title: null })],
    ['A', '<', wrong('achievements/update', { title: ["can't be blank"] })],
    ['B', '>', ask('achievements/update', { key: '@key', title: 'U' })],
    ['B', '<', wrong('achievements/update', { key: ['not found'] })],
    ['A', '>', ask('achievements/sync')],
    [
      'A',
      '<',
      {
        event: 'achievements/sync',
        ref: 1,
        payload: { total: 1, achievements: [made({ title: 'U', description: 'd', points: 5 })] }
      }
    ]
  ],
  [
    'what is deleted is gone',
    { A: achieve },
    ...creates({ title: 'T' }),
    ['A', '>', ask('achievements/delete', { key: '@key' })],
    [
      'A',
      '<',
      { event: 'achievements/delete', ref: 1, status: 'success', payload: { key: '@key' } }
    ],
    ['A', '>', ask('achievements/delete', { key: '@key' })],
    ['A', '<', wrong('achievements/delete', { key: ['not found'] })]
  ],
  [
    'a key that is unknown or missing is not found',
    { A: achieve },
    ...['achievements/update', 'achievements/delete'].flatMap((event) =>
      [
        undefined,
        {},
        { key: 'x' },
        { key: null },
        { key: 5 },
        { key: {} },
        { key: { toString: 1 } }
      ].flatMap((payload): Step[] => [
        ['A', '>', ask(event, payload)],
        ['A', '<', wrong(event, { key: ['not found'] })]
      ])
    )
  ],
  [
    'they are synchronized ten in a frame, by title, each with the total',
    { A: achieve },
    ...[...'LBKAJCIDHEGF'].flatMap((title) => creates({ title })),
    ['A', '>', ask('achievements/sync')],
    [
      'A',
      '<',
      {
        event: 'achievements/sync',
        ref: 1,
        payload: { total: 12, achievements: [...'ABCDEFGHIJ'].map((title) => made({ title })) }
      }
    ],
    [
      'A',
      '<',
      {
        event: 'achievements/sync',
        ref: 1,
        payload: { total: 12, achievements: [...'KL'].map((title) => made({ title })) }
      }
    ],
    ['A', 'silent']
  ]
]

// ── section 10

const FRAMES = { status: 'failure', error: 'rate limit exceeded' }
const ABUSE = {
  event: 'authenticate',
  status: 'failure',
  error: 'disconnected due to rate limit abuse'
}
const over = (event: string): object => failed(event, 'rate limit exceeded')
const send: Step[] = [
  ['A', '>', ask('channels/send', { channel: 'gossip' })],
  ['A', '<', ok('channels/send')]
]
const sendOver: Step[] = [
  ['A', '>', ask('channels/send', { channel: 'gossip' })],
  ['A', '<', over('channels/send')]
]
const beat: Step = ['A', '>', { event: 'heartbeat' }]

const LIMITS: Row[] = [
  [
    'a hundred frames fit, the next are told so without event and ref, the tenth of them is the end',
    { A: null },
    ...enters('A'),
    ...times(99, beat),
    ['A', 'silent'],
    ...times(9, ['A', '>', ask('games/status', { game: '@A' })], ['A', '<', FRAMES]),
    beat,
    ['A', '<', { status: 'failure', error: 'rate limit exceeded, goodbye' }],
    ['A', 'closed', 4000]
  ],
  [
    'frames before authentication and unknown ones count, what cannot be decoded does not',
    { A: null },
    ...times(150, ['A', '>', '{'], ['A', '<', { status: 'unknown' }]),
    ...times(50, ['A', '>', '5'], ['A', '<', { status: 'failure', error: 'unauthenticated' }]),
    ...enters('A'),
    ...times(49, ['A', '>', { event: 'nothing' }], ['A', '<', { status: 'unknown' }]),
    ['A', '>', { event: 'nothing' }],
    ['A', '<', FRAMES]
  ],
  [
    'frames leak twenty for each whole second since the one before',
    { A: null },
    ...enters('A'),
    ...times(99, beat),
    ['time', '+', 999],
    beat,
    ['A', '<', FRAMES],
    ['time', '+', 999],
    beat,
    ['A', '<', FRAMES],
    ['time', '+', 1999],
    ...times(20, beat),
    ['A', 'silent'],
    beat,
    ['A', '<', FRAMES],
    ['time', '+', 3000],
    ...times(60, beat),
    ['A', 'silent'],
    beat,
    ['A', '<', FRAMES]
  ],
  [
    'ten messages fit, the next fail, the tenth of them is the end',
    { A: gossip, B: gossip },
    ...times(10, ...send),
    ...times(10, ['B', '<', talk('@A')]),
    ...times(9, ...sendOver),
    ['B', 'silent'],
    ['A', '>', ask('channels/send', { channel: 'gossip' })],
    ['A', '<', ABUSE],
    ['A', 'closed', 4000]
  ],
  [
    'messages leak two a second; those on other channels do not count',
    { A: gossip },
    ...times(20, ...does('A', 'channels/send', { channel: 'other' })),
    ...times(10, ...send),
    ...sendOver,
    ['time', '+', 999],
    ...sendOver,
    ['time', '+', 1000],
    ...times(2, ...send),
    ...sendOver,
    ['time', '+', 60_000],
    ...times(10, ...send),
    ...sendOver
  ],
  [
    'over the limit without a ref is silent, until the end',
    { A: gossip, B: gossip },
    ...times(19, ['A', '>', { event: 'channels/send', payload: { channel: 'gossip' } }]),
    ['A', 'silent'],
    ['A', '>', { event: 'channels/send', payload: { channel: 'gossip' } }],
    ['A', '<', ABUSE],
    ['A', 'closed', 4000],
    ...times(10, ['B', '<', talk('@A')]),
    ['B', 'silent']
  ],
  [
    'five new channels fit, and leak one a second; those subscribed already do not count',
    { A: gossip },
    ...times(20, ...does('A', 'channels/subscribe', { channel: 'gossip' })),
    ...[0, 1, 2, 3, 4].flatMap((n) => does('A', 'channels/subscribe', { channel: letters(n) })),
    ...fails('A', 'channels/subscribe', { channel: letters(5) }, 'rate limit exceeded'),
    ['time', '+', 2000],
    ...[6, 7].flatMap((n) => does('A', 'channels/subscribe', { channel: letters(n) })),
    ...times(
      8,
      ...fails('A', 'channels/subscribe', { channel: letters(8) }, 'rate limit exceeded')
    ),
    ['A', '>', ask('channels/subscribe', { channel: letters(8) })],
    ['A', '<', ABUSE],
    ['A', 'closed', 4000]
  ],
  [
    'bad names, and channels that are subscribed already, take nothing from the limit',
    { A: gossip },
    ...times(
      6,
      ...fails('A', 'channels/subscribe', { channel: 'x' }, 'Could not subscribe to "x"'),
      ...does('A', 'channels/subscribe', { channel: 'gossip' })
    ),
    ...[0, 1, 2, 3, 4].flatMap((n) => does('A', 'channels/subscribe', { channel: letters(n) })),
    ...fails('A', 'channels/subscribe', { channel: letters(5) }, 'rate limit exceeded'),
    ...times(
      12,
      ...fails('A', 'channels/subscribe', { channel: 'x' }, 'Could not subscribe to "x"'),
      ...does('A', 'channels/subscribe', { channel: letters(0) })
    ),
    ...fails('A', 'channels/subscribe', { channel: letters(5) }, 'rate limit exceeded')
  ],
  [
    'five channels can be left, and one a second; those not subscribed do not count',
    { A: { channels: Array.from({ length: 9 }, (_, n) => letters(n)) } },
    ...times(20, ...does('A', 'channels/unsubscribe', { channel: 'other' })),
    ...[0, 1, 2, 3, 4].flatMap((n) => does('A', 'channels/unsubscribe', { channel: letters(n) })),
    ...fails('A', 'channels/unsubscribe', { channel: letters(5) }, 'rate limit exceeded'),
    ['time', '+', 1000],
    ...does('A', 'channels/unsubscribe', { channel: letters(5) }),
    ...times(
      8,
      ...fails('A', 'channels/unsubscribe', { channel: letters(6) }, 'rate limit exceeded')
    ),
    ['A', '>', ask('channels/unsubscribe', { channel: letters(6) })],
    ['A', '<', ABUSE],
    ['A', 'closed', 4000]
  ]
]

const SECTIONS = {
  channels: CHANNELS,
  players: PLAYERS,
  tells: TELLS,
  games: GAMES,
  achievements: ACHIEVEMENTS,
  limits: LIMITS
}

for (const on of [ONE_NODE, ...TWO_NODES]) {
  for (const [section, rows] of Object.entries(SECTIONS)) {
    // Achievements are in the memory of one node.
    if (section === 'achievements' && on !== ONE_NODE) continue
    void t.test(`${section}, ${on.name}`, { skip: on.skip }, (t) => playRows(t, rows, { on }))
  }
  void t.test(`all players, ${on.name}`, { skip: on.skip }, (t) =>
    playRows(t, ALL_PLAYERS, { alone: true, on }))
  void t.test(`all games, ${on.name}`, { skip: on.skip }, (t) =>
    playRows(t, ALL_GAMES, { alone: true, on }))
}
