import { times, type Row, type Step } from '../../helpers/gossip-script.ts'
import { ask, ERROR, failed, fails } from '../../helpers/gossip-steps.ts'

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
const EVENTS = ['sync', 'create', 'update', 'delete'].map((name) => `achievements/${name}`)

/** Section 9 of the protocol. */
export const ACHIEVEMENTS: Row[] = [
  [
    'each request fails without the flag "achievements"',
    { A: {} },
    ...EVENTS.flatMap((event) =>
      fails('A', event, { title: 'T' }, 'missing support for "achievements"')
    )
  ],
  [
    'a request without a ref has no effect, and one with the ref null fails',
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
    'achievements/create fills in the defaults, and generates the key',
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
    'achievements/create lists its errors by field',
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
    'achievements/create fails when the points of the game sum to 500',
    { A: achieve },
    ...times(5, ...creates({ title: 'T', points: 100 })),
    ['A', '>', ask('achievements/create', { title: 'T' })],
    ['A', '<', wrong('achievements/create', { points: ['no points left'] })]
  ],
  [
    'achievements/create fails when the game has 500 achievements, also without points',
    { A: achieve },
    ...times(500, ...creates({ title: 'T' }), ['time', '+', 1000]),
    ['A', '>', ask('achievements/create', { title: 'T' })],
    ['A', '<', wrong('achievements/create', { points: ['no points left'] })]
  ],
  [
    'achievements/update keeps the key and the fields that it does not contain',
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
    'achievements/delete removes the achievement',
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
    'achievements/update and achievements/delete fail for an unknown or missing key',
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
    'achievements/sync sends ten achievements in a frame, sorted by title, with the total',
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
