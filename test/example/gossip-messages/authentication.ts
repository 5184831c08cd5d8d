import { FRESH, type Row, type Step } from '../../helpers/gossip-script.ts'
import { AUTHENTICATED, authenticate, HEARTBEAT } from '../../helpers/gossip-steps.ts'

const refused = (error: string, payload: object): Step[] => [
  ['A', '>', { event: 'authenticate', payload, ref: 'r' }],
  ['A', '<', { event: 'authenticate', status: 'failure', error }],
  ['A', 'closed', 4000]
]
const credentials = { client_id: '@A.id', client_secret: '@A.secret' }
const supports = { supports: ['channels'] }

/** Section 4 of the protocol. */
export const AUTHENTICATION: Row[] = [
  [
    'the answer has no ref, and is followed by an error for each invalid channel and a heartbeat',
    { A: null },
    [
      'A',
      '>',
      authenticate(
        { ...supports, channels: ['gossip', 'no', 'ALL', null, 'gossip', 'far-too-long-a-name'] },
        { ref: 'r' }
      )
    ],
    ['A', '<', AUTHENTICATED],
    ...['no', 'ALL', '', 'far-too-long-a-name'].map((name): Step => [
      'A',
      '<',
      { event: 'channels/subscribe', status: 'failure', error: `Could not subscribe to '${name}'` }
    ]),
    ['A', '<', HEARTBEAT],
    ['A', 'silent']
  ],
  [
    'credentials are accepted in any case, and the five flags are known',
    { A: null },
    [
      'A',
      '>',
      authenticate({
        client_id: '@A.ID',
        client_secret: '@A.SECRET',
        supports: ['channels', 'players', 'tells', 'games', 'achievements'],
        version: '9.9.9',
        user_agent: null
      })
    ],
    ['A', '<', AUTHENTICATED],
    ['A', '<', HEARTBEAT]
  ],
  ...(
    [
      ['no id', { client_secret: '@A.secret', ...supports }],
      ['no secret', { client_id: '@A.id', ...supports }],
      ['an id that is not a UUID', { ...credentials, client_id: 'me', ...supports }],
      ['an id that is not a text', { ...credentials, client_id: 5, ...supports }],
      ['a secret that is null', { ...credentials, client_secret: null, ...supports }],
      [
        'an unknown id',
        { ...credentials, client_id: '00000000-0000-4000-8000-000000000000', ...supports }
      ],
      ['the secret of another game', { ...credentials, client_secret: '@B.secret', ...supports }],
      ['the id of another game, and no flags', { client_id: '@B.id', client_secret: '@A.secret' }]
    ] as const
  ).map(([name, payload]): Row => [
    `authenticate fails with "invalid credentials": ${name}`,
    { A: null },
    ...refused('invalid credentials', payload)
  ]),
  [
    'authenticate without flags fails',
    { A: null },
    ...refused('missing supports', credentials)
  ],
  [
    'authenticate with an empty list of flags fails',
    { A: null },
    ...refused('missing supports', { ...credentials, supports: [] })
  ],
  [
    'authenticate without the flag "channels" fails, which is checked before unknown flags',
    { A: null },
    ...refused('must support channels', { ...credentials, supports: ['players', 'what'] })
  ],
  [
    'authenticate with an unknown flag fails',
    { A: null },
    ...refused('includes unknown supports', { ...credentials, supports: ['channels', 'what'] })
  ],
  [
    'authenticate with a flag that is not a text fails',
    { A: null },
    ...refused('includes unknown supports', { ...credentials, supports: ['channels', 5] })
  ],
  [
    'a game may have several sockets, and each gets the messages of its channels',
    { A: { channels: ['gossip'] }, A2: { channels: ['gossip'] }, B: { channels: ['gossip'] } },
    [
      'B',
      '>',
      { event: 'channels/send', payload: { channel: 'gossip', name: 'n', message: 'm' }, ref: 1 }
    ],
    ['B', '<', { event: 'channels/send', ref: 1, status: 'success' }],
    ...['A', 'A2'].map((who): Step => [
      who,
      '<',
      {
        event: 'channels/broadcast',
        ref: FRESH,
        payload: { channel: 'gossip', game: '@B', name: 'n', message: 'm' }
      }
    ])
  ],
  [
    'a game with hidden players does not get the flag "tells"',
    { P: { supports: ['channels', 'tells', 'games'] } },
    ['P', '>', { event: 'tells/send', ref: 1, payload: {} }],
    [
      'P',
      '<',
      { event: 'tells/send', ref: 1, status: 'failure', error: 'missing support for "tells"' }
    ],
    ['P', '>', { event: 'games/status', ref: 1, payload: { game: '@P' } }],
    [
      'P',
      '<',
      {
        event: 'games/status',
        ref: 1,
        status: 'success',
        payload: {
          game: '@P',
          display_name: 'The game @P',
          supports: ['channels', 'games'],
          channels: [],
          player_online_count: 0
        }
      }
    ]
  ]
]
