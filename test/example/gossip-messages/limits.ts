import { times, type Row, type Step } from '../../helpers/gossip-script.ts'
import {
  ask, channelOf, does, enters, failed, fails, GOSSIP, ok, talk
} from '../../helpers/gossip-steps.ts'

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

/** Section 10 of the protocol. */
export const LIMITS: Row[] = [
  [
    '100 frames are accepted; the next ten fail without event and ref, the last closes the socket',
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
    'frames before authentication and unknown frames count, and frames that are not JSON do not',
    { A: null },
    ...times(150, ['A', '>', '{'], ['A', '<', { status: 'unknown' }]),
    ...times(50, ['A', '>', '5'], ['A', '<', { status: 'failure', error: 'unauthenticated' }]),
    ...enters('A'),
    ...times(49, ['A', '>', { event: 'nothing' }], ['A', '<', { status: 'unknown' }]),
    ['A', '>', { event: 'nothing' }],
    ['A', '<', FRAMES]
  ],
  [
    'the frame limit recovers by 20 for each whole second since the previous frame',
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
    'ten messages on a channel are accepted; the next ten fail, and the last closes the socket',
    { A: GOSSIP, B: GOSSIP },
    ...times(10, ...send),
    ...times(10, ['B', '<', talk('@A')]),
    ...times(9, ...sendOver),
    ['B', 'silent'],
    ['A', '>', ask('channels/send', { channel: 'gossip' })],
    ['A', '<', ABUSE],
    ['A', 'closed', 4000]
  ],
  [
    'the message limit recovers by two a second; channels without a subscription do not count',
    { A: GOSSIP },
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
    'messages over the limit without a ref are not answered, until the socket is closed',
    { A: GOSSIP, B: GOSSIP },
    ...times(19, ['A', '>', { event: 'channels/send', payload: { channel: 'gossip' } }]),
    ['A', 'silent'],
    ['A', '>', { event: 'channels/send', payload: { channel: 'gossip' } }],
    ['A', '<', ABUSE],
    ['A', 'closed', 4000],
    ...times(10, ['B', '<', talk('@A')]),
    ['B', 'silent']
  ],
  [
    'five new channels are accepted, and one more a second; repeated subscriptions do not count',
    { A: GOSSIP },
    ...times(20, ...does('A', 'channels/subscribe', { channel: 'gossip' })),
    ...[0, 1, 2, 3, 4].flatMap((n) => does('A', 'channels/subscribe', { channel: channelOf(n) })),
    ...fails('A', 'channels/subscribe', { channel: channelOf(5) }, 'rate limit exceeded'),
    ['time', '+', 2000],
    ...[6, 7].flatMap((n) => does('A', 'channels/subscribe', { channel: channelOf(n) })),
    ...times(
      8,
      ...fails('A', 'channels/subscribe', { channel: channelOf(8) }, 'rate limit exceeded')
    ),
    ['A', '>', ask('channels/subscribe', { channel: channelOf(8) })],
    ['A', '<', ABUSE],
    ['A', 'closed', 4000]
  ],
  [
    'invalid channel names and repeated subscriptions do not count, also over the limit',
    { A: GOSSIP },
    ...times(
      6,
      ...fails('A', 'channels/subscribe', { channel: 'x' }, 'Could not subscribe to "x"'),
      ...does('A', 'channels/subscribe', { channel: 'gossip' })
    ),
    ...[0, 1, 2, 3, 4].flatMap((n) => does('A', 'channels/subscribe', { channel: channelOf(n) })),
    ...fails('A', 'channels/subscribe', { channel: channelOf(5) }, 'rate limit exceeded'),
    ...times(
      12,
      ...fails('A', 'channels/subscribe', { channel: 'x' }, 'Could not subscribe to "x"'),
      ...does('A', 'channels/subscribe', { channel: channelOf(0) })
    ),
    ...fails('A', 'channels/subscribe', { channel: channelOf(5) }, 'rate limit exceeded')
  ],
  [
    'five channels can be unsubscribed, and one more a second; other channels do not count',
    { A: { channels: Array.from({ length: 9 }, (_, n) => channelOf(n)) } },
    ...times(20, ...does('A', 'channels/unsubscribe', { channel: 'other' })),
    ...[0, 1, 2, 3, 4].flatMap((n) => does('A', 'channels/unsubscribe', { channel: channelOf(n) })),
    ...fails('A', 'channels/unsubscribe', { channel: channelOf(5) }, 'rate limit exceeded'),
    ['time', '+', 1000],
    ...does('A', 'channels/unsubscribe', { channel: channelOf(5) }),
    ...times(
      8,
      ...fails('A', 'channels/unsubscribe', { channel: channelOf(6) }, 'rate limit exceeded')
    ),
    ['A', '>', ask('channels/unsubscribe', { channel: channelOf(6) })],
    ['A', '<', ABUSE],
    ['A', 'closed', 4000]
  ]
]
