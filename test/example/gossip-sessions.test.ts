import t from 'tap'
import { connect } from '../helpers/client.ts'
import { joinAs, startGossip } from '../helpers/gossip.ts'
import { ONE_NODE, TWO_NODES } from '../helpers/gossip-network.ts'
import { FRESH, playRows, type Row, type Step } from '../helpers/gossip-script.ts'

const UNKNOWN = { status: 'unknown' }
const UNAUTHENTICATED = { status: 'failure', error: 'unauthenticated' }
const SUCCESS = {
  event: 'authenticate',
  status: 'success',
  payload: { unicode: '✔️', version: '2.3.0' }
}
const HEARTBEAT = { event: 'heartbeat' }
const ERROR = 'an error occurred, try again'

const authenticate = (payload: object, more: object = {}): object => ({
  event: 'authenticate',
  payload: { client_id: '@A.id', client_secret: '@A.secret', ...payload },
  ...more
})
const refused = (error: string, payload: object): Step[] => [
  ['A', '>', { event: 'authenticate', payload, ref: 'r' }],
  ['A', '<', { event: 'authenticate', status: 'failure', error }],
  ['A', 'closed', 4000]
]
const credentials = { client_id: '@A.id', client_secret: '@A.secret' }
const supports = { supports: ['channels'] }
const subscribe = (channel: unknown, more: object = {}): object => ({
  event: 'channels/subscribe',
  payload: { channel },
  ...more
})

const nested = (levels: number, open: string, close: string, inner = ''): string =>
  open.repeat(levels) + inner + close.repeat(levels)

const TRANSPORT: Row[] = [
  [
    'a binary frame is unknown, before and after authentication',
    { A: null, B: {} },
    ['A', '>', Buffer.from('{"event":"heartbeat"}')],
    ['A', '<', UNKNOWN],
    ['B', '>', Buffer.from([0])],
    ['B', '<', UNKNOWN]
  ],
  [
    'a ping is answered with its body',
    { A: null, B: {} },
    ['A', 'ping'],
    ['B', 'ping'],
    ['A', 'silent'],
    ['B', 'silent']
  ],
  [
    'an unsolicited pong is ignored',
    { A: null, B: {} },
    ['A', 'pong'],
    ['B', 'pong'],
    ['A', 'silent'],
    ['B', 'silent']
  ]
]

const ENVELOPE: Row[] = [
  [
    'a request with a ref is confirmed, and the ref comes back as it was',
    { A: {} },
    ...['text', 5, null, false, 0, '', [1, { a: null }], { deep: ['r'] }].flatMap((ref): Step[] => [
      ['A', '>', { event: 'channels/unsubscribe', payload: {}, ref }],
      ['A', '<', { event: 'channels/unsubscribe', ref, status: 'success' }]
    ])
  ],
  [
    'a ref of lists and objects in each other comes back from 64 levels; a deeper one is unknown, and closes nothing',
    { A: {}, B: null },
    ...[nested(64, '[', ']'), nested(64, '{"a":', '}', '1')].flatMap((ref): Step[] => [
      ['A', '>', `{"event":"channels/unsubscribe","payload":{},"ref":${ref}}`],
      ['A', '<', `{"event":"channels/unsubscribe","ref":${ref},"status":"success"}`]
    ]),
    ...[65, 5000, 100_000].flatMap((levels) =>
      ['{}', '5'].flatMap((payload): Step[] => [
        [
          'A',
          '>',
          `{"event":"channels/unsubscribe","payload":${payload},"ref":${nested(levels, '[', ']')}}`
        ],
        ['A', '<', UNKNOWN]
      ])
    ),
    ['B', '>', `{"event":"authenticate","payload":5,"ref":${nested(100_000, '[', ']')}}`],
    ['B', '<', UNKNOWN]
  ],
  [
    'a request without a ref is carried out silently',
    { A: {}, B: { channels: ['gossip'] } },
    ['A', '>', subscribe('gossip')],
    ['A', 'silent'],
    ['B', '>', { event: 'channels/send', payload: { channel: 'gossip', message: 'm' } }],
    ['B', 'silent'],
    [
      'A',
      '<',
      {
        event: 'channels/broadcast',
        ref: FRESH,
        payload: { channel: 'gossip', game: '@B', name: '', message: 'm' }
      }
    ]
  ],
  [
    'a failure has the event, the ref and the error; without a ref it is silent',
    { A: {} },
    ['A', '>', subscribe('x', { ref: 1 })],
    [
      'A',
      '<',
      {
        event: 'channels/subscribe',
        ref: 1,
        status: 'failure',
        error: 'Could not subscribe to "x"'
      }
    ],
    ['A', '>', subscribe('x')],
    ['A', 'silent']
  ],
  [
    'with debug each request is answered for 300 s, without a ref when it has none',
    { A: { debug: true } },
    ['A', '>', subscribe('gossip')],
    ['A', '<', { event: 'channels/subscribe', status: 'success' }],
    ['A', '>', subscribe('x')],
    [
      'A',
      '<',
      { event: 'channels/subscribe', status: 'failure', error: 'Could not subscribe to "x"' }
    ],
    ['A', '>', subscribe('gossip', { ref: null })],
    ['A', '<', { event: 'channels/subscribe', ref: null, status: 'success' }],
    ['time', '+', 299_999],
    ['A', '>', { event: 'channels/send', payload: {} }],
    ['A', '<', { event: 'channels/send', status: 'success' }],
    ['time', '+', 1],
    ['A', '>', { event: 'channels/send', payload: {} }],
    ['A', 'silent']
  ]
]

const NOT_UNDERSTOOD: Row[] = [
  [
    'what cannot be decoded is unknown in any state',
    { A: null, B: {} },
    ...['{', '', 'hello', '{"event":"heartbeat",}', '{"__proto__":{}}'].flatMap((text): Step[] => [
      ['A', '>', text],
      ['A', '<', UNKNOWN],
      ['B', '>', text],
      ['B', '<', UNKNOWN]
    ])
  ],
  [
    'after authentication an unknown event, no event, and JSON that is no object are unknown',
    { A: {} },
    ...[
      { event: 'nothing', ref: 1 },
      { ref: 1 },
      {},
      [],
      5,
      null,
      'text',
      true,
      [{ event: 'heartbeat' }],
      { event: 5, ref: 1 },
      { event: null },
      { event: 'toString', ref: 1 },
      { event: 'channels/broadcast', payload: {} },
      { event: 'restart', payload: { downtime: 1 } },
      { event: 'tick' }
    ].flatMap((message): Step[] => [
      ['A', '>', JSON.stringify(message)],
      ['A', '<', UNKNOWN]
    ])
  ],
  [
    'a second authenticate is unknown',
    { A: {} },
    ['A', '>', authenticate(supports, { ref: 1 })],
    ['A', '<', UNKNOWN],
    ['A', '>', { event: 'authenticate', ref: 1 }],
    ['A', '<', UNKNOWN]
  ],
  [
    'before authentication anything else is unauthenticated',
    { A: null },
    ...[
      { event: 'heartbeat' },
      { event: 'nothing', ref: 1 },
      subscribe('gossip', { ref: 1 }),
      subscribe(5, { ref: 1 }),
      {},
      [],
      5,
      null,
      'text',
      { event: ['authenticate'] }
    ].flatMap((message): Step[] => [
      ['A', '>', JSON.stringify(message)],
      ['A', '<', UNAUTHENTICATED]
    ])
  ],
  [
    'an authenticate without payload is silent without a ref, fails with one, and leaves the socket open',
    { A: null },
    ['A', '>', { event: 'authenticate' }],
    ['A', 'silent'],
    ['A', '>', { event: 'authenticate', ref: null }],
    ['A', '<', { event: 'authenticate', ref: null, status: 'failure', error: ERROR }],
    ['A', '>', authenticate(supports)],
    ['A', '<', SUCCESS],
    ['A', '<', HEARTBEAT]
  ],
  [
    'a request without its payload fails with a ref, and is silent without',
    { A: { supports: ['channels', 'players'] } },
    ...[
      'channels/subscribe',
      'channels/unsubscribe',
      'channels/send',
      'players/sign-in',
      'players/sign-out'
    ].flatMap((event): Step[] => [
      ['A', '>', { event, ref: 1 }],
      ['A', '<', { event, ref: 1, status: 'failure', error: ERROR }],
      ['A', '>', { event }],
      ['A', 'silent']
    ])
  ],
  [
    'a key of players that is missing fails',
    { A: { supports: ['channels', 'players'] } },
    ...['players/sign-in', 'players/sign-out'].flatMap((event): Step[] => [
      ['A', '>', { event, ref: 1, payload: {} }],
      ['A', '<', { event, ref: 1, status: 'failure', error: ERROR }],
      ['A', '>', { event, payload: {} }],
      ['A', 'silent']
    ])
  ],
  [
    'a payload or a field of the wrong type is answered and closes nothing',
    { A: { supports: ['channels', 'players', 'games', 'achievements'] } },
    ...Object.entries({
      'channels/subscribe': ['text', 5, null, [], { channel: 5 }, { channel: {} }],
      'channels/unsubscribe': ['text', { channel: [] }],
      'channels/send': [
        'text',
        { channel: 5 },
        { channel: 'gossip', message: 5 },
        { name: null },
        { message: {} }
      ],
      'players/sign-in': [
        'text',
        null,
        { name: 5 },
        { name: null },
        { name: ['a'] },
        { name: 'n'.repeat(257) }
      ],
      'players/sign-out': [[], { name: {} }],
      'players/status': ['text', 5, { game: 5 }, { game: [] }],
      'games/status': ['text', { game: {} }],
      'achievements/create': ['text', 5, []]
    }).flatMap(([event, payloads]) =>
      payloads.flatMap((payload): Step[] => [
        ['A', '>', { event, ref: 1, payload }],
        ['A', '<', { event, ref: 1, status: 'failure', error: ERROR }]
      ])
    )
  ],
  [
    'an authenticate with a field of the wrong type is answered, and the next may do',
    { A: null },
    ...[
      'text',
      5,
      null,
      authenticate({ supports: 'channels' }),
      authenticate({ supports: null }),
      authenticate({ ...supports, channels: null }),
      authenticate({ ...supports, players: [5] }),
      authenticate({ ...supports, channels: Array(257).fill(null) })
    ].flatMap((message): Step[] => [
      [
        'A',
        '>',
        typeof message === 'object' && message !== null
          ? message
          : { event: 'authenticate', payload: message }
      ],
      ['A', '<', { event: 'authenticate', status: 'failure', error: ERROR }]
    ]),
    ['A', '>', authenticate(supports)],
    ['A', '<', SUCCESS],
    ['A', '<', HEARTBEAT]
  ],
  [
    'a heartbeat that cannot be read is a heartbeat, and leaves the players as they are',
    { A: { supports: ['channels', 'players'], players: ['Al'] } },
    ...['text', { players: 'x' }, { players: [5] }].flatMap((payload): Step[] => [
      ['A', '>', { event: 'heartbeat', payload, ref: 1 }],
      ['A', 'silent']
    ]),
    ['A', '>', { event: 'players/status', ref: 1, payload: { game: '@A' } }],
    ['A', '<', { event: 'players/status', ref: 1, payload: { game: '@A', players: ['Al'] } }]
  ]
]

const AUTHENTICATE: Row[] = [
  [
    'success is told without a ref, then a failure for each bad channel, then a heartbeat',
    { A: null },
    [
      'A',
      '>',
      authenticate(
        { ...supports, channels: ['gossip', 'no', 'ALL', null, 'gossip', 'far-too-long-a-name'] },
        { ref: 'r' }
      )
    ],
    ['A', '<', SUCCESS],
    ...['no', 'ALL', '', 'far-too-long-a-name'].map((name): Step => [
      'A',
      '<',
      { event: 'channels/subscribe', status: 'failure', error: `Could not subscribe to '${name}'` }
    ]),
    ['A', '<', HEARTBEAT],
    ['A', 'silent']
  ],
  [
    'credentials may be in any case, and all flags are known',
    { A: null },
    [
      'A',
      '>',
      '{"event":"authenticate","payload":{"client_id":"@A.id","client_secret":"@A.secret","supports":["channels","players","tells","games","achievements"],"version":"9.9.9","user_agent":null}}'
    ],
    ['A', '<', SUCCESS],
    ['A', '<', HEARTBEAT]
  ],
  ...(
    [
      ['no id', { client_secret: '@A.secret', ...supports }],
      ['no secret', { client_id: '@A.id', ...supports }],
      ['an id that is no UUID', { ...credentials, client_id: 'me', ...supports }],
      ['an id that is no text', { ...credentials, client_id: 5, ...supports }],
      ['a secret that is null', { ...credentials, client_secret: null, ...supports }],
      [
        'an unknown id',
        { ...credentials, client_id: '00000000-0000-4000-8000-000000000000', ...supports }
      ],
      ['what is no pair', { ...credentials, client_secret: '@B.secret', ...supports }],
      ['them before the flags', { client_id: '@B.id', client_secret: '@A.secret' }]
    ] as const
  ).map(([name, payload]): Row => [
    `the credentials are judged: ${name}`,
    { A: null },
    ...refused('invalid credentials', payload)
  ]),
  ['flags must be there', { A: null }, ...refused('missing supports', credentials)],
  [
    'flags must be some',
    { A: null },
    ...refused('missing supports', { ...credentials, supports: [] })
  ],
  [
    'channels must be among the flags, which is judged before those that are unknown',
    { A: null },
    ...refused('must support channels', { ...credentials, supports: ['players', 'what'] })
  ],
  [
    'unknown flags are refused',
    { A: null },
    ...refused('includes unknown supports', { ...credentials, supports: ['channels', 'what'] })
  ],
  [
    'a flag that is no text is unknown',
    { A: null },
    ...refused('includes unknown supports', { ...credentials, supports: ['channels', 5] })
  ],
  [
    'a game may hold several sockets',
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
    'a game whose players are hidden loses tells silently',
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

for (const [section, rows] of Object.entries({
  transport: TRANSPORT,
  envelope: ENVELOPE,
  'what is not understood': NOT_UNDERSTOOD,
  authentication: AUTHENTICATE
})) {
  for (const on of [ONE_NODE, ...TWO_NODES]) {
    void t.test(`${section}, ${on.name}`, { skip: on.skip }, (t) => playRows(t, rows, { on }))
  }
}

void t.test('an upper case secret is the same secret', async (t) => {
  const server = await startGossip(t)
  const game = server.games.get('Ann')!
  await joinAs(t, server.url, {
    ...game,
    client_id: game.client_id.toUpperCase(),
    client_secret: game.client_secret.toUpperCase()
  })
})

void t.test(
  'a restart is announced to each socket, with five seconds more or less, by who has the token',
  async (t) => {
    const server = await startGossip(t, { adminToken: 'secret word' })
    const restart = (query: string, authorization?: string) =>
      fetch(server.http(`/gossip/restart${query}`), {
        method: 'POST',
        headers: authorization === undefined ? {} : { authorization }
      })
    for (const authorization of [
      undefined,
      '',
      'Bearer',
      'Bearer ',
      'Bearer secret',
      'Bearer secret word2',
      'Basic secret word',
      'secret word'
    ]) {
      t.equal((await restart('?downtime=x', authorization)).status, 401, `${authorization}`)
    }
    t.equal((await restart('?downtime=x', 'Bearer secret word')).status, 400)
    t.equal((await restart('?downtime=-1', 'Bearer secret word')).status, 400)
    const clients = [
      await connect(t, server.url),
      await connect(t, server.url),
      await joinAs(t, server.url, server.games.get('Ann')!)
    ]
    const heard = new Set<number>()
    for (let round = 0; round < 40; round++) {
      t.ok((await restart(round === 0 ? '' : '?downtime=15', 'Bearer secret word')).ok)
      for (const client of clients) {
        const { event, ref, payload, ...more }: any = await client.nextJson()
        t.match({ event, ref, more }, { event: 'restart', ref: /^[0-9a-f-]{36}$/, more: {} })
        heard.add(payload.downtime)
      }
    }
    t.same([Math.min(...heard), Math.max(...heard)], [10, 20], '120 draws of eleven')
    t.ok([...heard].every(Number.isInteger))
  }
)

void t.test('without a token nobody can announce a restart', async (t) => {
  const server = await startGossip(t)
  for (const headers of [{}, { authorization: 'Bearer ' }, { authorization: 'Bearer undefined' }]) {
    t.equal(
      (await fetch(server.http('/gossip/restart?downtime=5'), { method: 'POST', headers })).status,
      404
    )
  }
})
