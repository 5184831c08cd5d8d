import { FRESH, type Row, type Step } from '../../helpers/gossip-script.ts'
import { ask, does, fails, ok } from '../../helpers/gossip-steps.ts'

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

/** Section 7 of the protocol. */
export const TELLS: Row[] = [
  [
    'tells/send is confirmed, and delivered to the sockets of the game that have the flag',
    { ...pair, B2: all, B3: {}, C: all },
    ...does('A', 'tells/send', tell),
    ['B', '<', received()],
    ['B2', '<', received()],
    ...['A', 'B', 'B3', 'C'].map((who): Step => [who, 'silent'])
  ],
  [
    'tells/send without a ref is delivered, and not confirmed',
    pair,
    ['A', '>', { event: 'tells/send', payload: tell }],
    ['A', 'silent'],
    ['B', '<', received()]
  ],
  [
    'games and players are found in any case, and the names and the text are delivered as sent',
    pair,
    [
      'A',
      '>',
      ask('tells/send', {
        ...tell,
        from_name: 'aL',
        to_game: '@B.lower',
        to_name: 'bO',
        message: '<b> psst'
      })
    ],
    ['A', '<', ok('tells/send')],
    ['B', '<', received({ from_name: 'aL', to_name: 'bO', message: '<b> psst' })]
  ],
  [
    'a tell to the own game is delivered',
    pair,
    ['A', '>', ask('tells/send', { ...tell, to_game: '@A', to_name: 'al' })],
    // The tell waits in the own mailbox until the confirmation has been sent.
    ['A', '<', ok('tells/send')],
    ['A', '<', received({ to_name: 'al' })]
  ],
  [
    'tells/send fails without the flag "tells", whatever its payload',
    { A: { players: ['Al'] }, B: pair.B },
    ...[tell, {}, undefined].flatMap((payload) =>
      fails('A', 'tells/send', payload, 'missing support for "tells"')
    )
  ],
  [
    'the payload has exactly five keys, and each value is a text',
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
    'sent_at is an ISO 8601 time in UTC',
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
    'payload, game, flag of the game, sender and receiver are checked in this order',
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
    'a tell to a game with hidden players fails with "not supported"',
    { A: pair.A, P: { ...all, players: ['Pat'] } },
    ...fails('A', 'tells/send', { ...tell, to_game: '@P', to_name: 'Pat' }, 'not supported')
  ]
]
