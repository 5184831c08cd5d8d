import { type Row, type Step } from '../../helpers/gossip-script.ts'
import { ask, channelOf, does, fails, GOSSIP, ok, talk } from '../../helpers/gossip-steps.ts'

/** Section 5 of the protocol. */
export const CHANNELS: Row[] = [
  [
    'channels/subscribe accepts 3 to 15 letters, - and _; the error for another name contains it',
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
    'channel names are case-sensitive',
    { A: { channels: ['Gossip'] }, B: GOSSIP },
    ...does('B', 'channels/send', { channel: 'gossip', message: 'm' }),
    ['A', 'silent'],
    ...does('A', 'channels/subscribe', { channel: 'gossip' }),
    ...does('B', 'channels/send', { channel: 'gossip', message: 'n' }),
    ['A', '<', talk('@B', '', 'n')]
  ],
  [
    'a request without a channel is confirmed',
    { A: {} },
    ...['channels/subscribe', 'channels/unsubscribe', 'channels/send'].flatMap((event) =>
      does('A', event, {})
    )
  ],
  [
    'a second subscription to a channel is confirmed, and each message still arrives once',
    { A: GOSSIP, B: GOSSIP },
    ...does('A', 'channels/subscribe', { channel: 'gossip' }),
    ...does('B', 'channels/send', { channel: 'gossip', message: 'm' }),
    ['A', '<', talk('@B', '', 'm')],
    ['A', 'silent']
  ],
  [
    'channels/unsubscribe ends the messages, and is confirmed when there is no subscription',
    { A: GOSSIP, B: GOSSIP },
    ...does('A', 'channels/unsubscribe', { channel: 'gossip' }),
    ...does('A', 'channels/unsubscribe', { channel: 'gossip' }),
    ...does('A', 'channels/unsubscribe', { channel: null }),
    ...does('B', 'channels/send', { channel: 'gossip', message: 'm' }),
    ['A', 'silent']
  ],
  [
    'channels/send reaches all subscribed sockets, except those of the sending game',
    { A: GOSSIP, A2: GOSSIP, B: GOSSIP, B2: GOSSIP, C: {}, D: null },
    ...does('A', 'channels/send', { channel: 'gossip', name: 'Al', message: 'hi', id: 5 }),
    ...['B', 'B2'].map((who): Step => [who, '<', talk('@A', 'Al', 'hi')]),
    ...['A', 'A2', 'B', 'C'].map((who): Step => [who, 'silent'])
  ],
  [
    'channels/send to a channel without a subscription is confirmed, and reaches nobody',
    { A: {}, B: GOSSIP },
    ...does('A', 'channels/send', { channel: 'gossip', message: 'm' }),
    ...does('A', 'channels/send', { channel: null, message: 'm' }),
    ['B', 'silent']
  ],
  [
    'a missing name or message is sent as an empty text, and tags are removed from both',
    { A: GOSSIP, B: GOSSIP },
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
    'unclosed tags are kept, also 200 000 of them',
    { A: GOSSIP, B: GOSSIP },
    ...['<'.repeat(200_000), `<b>b</b>${'<'.repeat(200_000)}`, `<${'<>'.repeat(50_000)}`].flatMap(
      (message, i): Step[] => [
        ...does('B', 'channels/send', { channel: 'gossip', message }),
        ['A', '<', talk('@B', '', ['<'.repeat(200_000), `b${'<'.repeat(200_000)}`, ''][i])]
      ]
    )
  ],
  [
    'a socket has at most 256 channels',
    { A: { channels: Array.from({ length: 256 }, (_, n) => channelOf(n)) } },
    ...fails('A', 'channels/subscribe', { channel: 'gossip' }, 'Could not subscribe to "gossip"'),
    ...does('A', 'channels/subscribe', { channel: channelOf(255) }),
    ...does('A', 'channels/unsubscribe', { channel: channelOf(0) }),
    ...does('A', 'channels/subscribe', { channel: 'gossip' })
  ],
  [
    'confirmations have the order of the requests, and broadcasts the order of their sender',
    { A: GOSSIP, B: GOSSIP },
    ...[1, 2, 3, 4].map((ref): Step => [
      'B',
      '>',
      ask('channels/send', { channel: 'gossip', message: `${ref}` }, ref)
    ]),
    ...[1, 2, 3, 4].map((ref): Step => ['B', '<', ok('channels/send', ref)]),
    ...[1, 2, 3, 4].map((ref): Step => ['A', '<', talk('@B', '', `${ref}`)])
  ]
]
