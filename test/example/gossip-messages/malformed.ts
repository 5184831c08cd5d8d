import type { Row, Step } from '../../helpers/gossip-script.ts'
import {
  AUTHENTICATED, authenticate, ERROR, HEARTBEAT, UNKNOWN
} from '../../helpers/gossip-steps.ts'

const UNAUTHENTICATED = { status: 'failure', error: 'unauthenticated' }
const supports = { supports: ['channels'] }
const subscribe = (channel: unknown, more: object = {}): object => ({
  event: 'channels/subscribe',
  payload: { channel },
  ...more
})

/** Section 3 of the protocol: requests that reach no handler, or fail in one. */
export const MALFORMED: Row[] = [
  [
    'text that is not JSON gets the status "unknown", before and after authentication',
    { A: null, B: {} },
    ...['{', '', 'hello', '{"event":"heartbeat",}', '{"__proto__":{}}'].flatMap((text): Step[] => [
      ['A', '>', text],
      ['A', '<', UNKNOWN],
      ['B', '>', text],
      ['B', '<', UNKNOWN]
    ])
  ],
  [
    'after authentication, unknown events and JSON without an event get the status "unknown"',
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
    'a second authenticate gets the status "unknown"',
    { A: {} },
    ['A', '>', authenticate(supports, { ref: 1 })],
    ['A', '<', UNKNOWN],
    ['A', '>', { event: 'authenticate', ref: 1 }],
    ['A', '<', UNKNOWN]
  ],
  [
    'before authentication everything else fails with "unauthenticated"',
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
    'authenticate without a payload is answered only with a ref, and the socket stays open',
    { A: null },
    ['A', '>', { event: 'authenticate' }],
    ['A', 'silent'],
    ['A', '>', { event: 'authenticate', ref: null }],
    ['A', '<', { event: 'authenticate', ref: null, status: 'failure', error: ERROR }],
    ['A', '>', authenticate(supports)],
    ['A', '<', AUTHENTICATED],
    ['A', '<', HEARTBEAT]
  ],
  [
    'a request without its payload fails, and is not answered without a ref',
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
    'players/sign-in and players/sign-out fail without a name',
    { A: { supports: ['channels', 'players'] } },
    ...['players/sign-in', 'players/sign-out'].flatMap((event): Step[] => [
      ['A', '>', { event, ref: 1, payload: {} }],
      ['A', '<', { event, ref: 1, status: 'failure', error: ERROR }],
      ['A', '>', { event, payload: {} }],
      ['A', 'silent']
    ])
  ],
  [
    'a payload or field of the wrong type fails, and the socket stays open',
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
    'authenticate with a field of the wrong type fails, and can be sent again',
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
    ['A', '<', AUTHENTICATED],
    ['A', '<', HEARTBEAT]
  ],
  [
    'a heartbeat with an invalid payload is not answered, and the player list stays',
    { A: { supports: ['channels', 'players'], players: ['Al'] } },
    ...['text', { players: 'x' }, { players: [5] }].flatMap((payload): Step[] => [
      ['A', '>', { event: 'heartbeat', payload, ref: 1 }],
      ['A', 'silent']
    ]),
    ['A', '>', { event: 'players/status', ref: 1, payload: { game: '@A' } }],
    ['A', '<', { event: 'players/status', ref: 1, payload: { game: '@A', players: ['Al'] } }]
  ]
]
