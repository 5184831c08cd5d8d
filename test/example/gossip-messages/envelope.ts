import { FRESH, type Row, type Step } from '../../helpers/gossip-script.ts'
import { UNKNOWN } from '../../helpers/gossip-steps.ts'

const subscribe = (channel: unknown, more: object = {}): object => ({
  event: 'channels/subscribe',
  payload: { channel },
  ...more
})

const nested = (levels: number, open: string, close: string, inner = ''): string =>
  open.repeat(levels) + inner + close.repeat(levels)

/** Sections 1 and 2 of the protocol. */
export const ENVELOPE: Row[] = [
  [
    'a binary frame gets the status "unknown", before and after authentication',
    { A: null, B: {} },
    ['A', '>', Buffer.from('{"event":"heartbeat"}')],
    ['A', '<', UNKNOWN],
    ['B', '>', Buffer.from([0])],
    ['B', '<', UNKNOWN]
  ],
  [
    'a ping is answered with its payload',
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
  ],
  [
    'a confirmation has the ref of its request, of any type',
    { A: {} },
    ...['text', 5, null, false, 0, '', [1, { a: null }], { deep: ['r'] }].flatMap((ref): Step[] => [
      ['A', '>', { event: 'channels/unsubscribe', payload: {}, ref }],
      ['A', '<', { event: 'channels/unsubscribe', ref, status: 'success' }]
    ])
  ],
  [
    'a ref of 64 nested levels is returned; a deeper one gets the status "unknown"',
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
    'a request without a ref is carried out, and not answered',
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
    'a failure has the event, the ref and the error, and is not sent without a ref',
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
    'with debug each request is answered for 300 s, also one without a ref',
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
