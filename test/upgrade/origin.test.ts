import t, { type Test } from 'tap'
import { connect, refused } from '../helpers/client.ts'
import { exchange, handshake, connectRaw } from '../helpers/raw.ts'
import { startServer, type ServerOptions } from '../helpers/server.ts'
import type { CheckOrigin } from '../../src/index.ts'

interface Row { host?: string, origin?: string, passes: boolean, headers?: Record<string, string> }

/** Sends an upgrade request for each row, with exactly its header lines. */
async function check (
  t: Test,
  checkOrigin: CheckOrigin | undefined,
  rows: readonly Row[],
  options: ServerOptions = {}
): Promise<void> {
  const server = await startServer(t, (app) => {
    app.get('/ws', { websocketHandler: { init: (_args, ws) => ws.stop('normal') } })
  }, { ...options, websock: checkOrigin === undefined ? {} : { checkOrigin } })
  for (const { host = 'example.com', origin, passes, headers } of rows) {
    const client = (await connectRaw(t, server.port)).write(
      handshake('/ws', { Host: host, Origin: origin, ...headers })
    )
    await client.until(({ text }) => text.includes('\r\n\r\n'))
    t.equal(client.status, passes ? 101 : 403, `${origin ?? 'no origin'} at ${host}`)
    client.socket.destroy()
  }
}

const pass = (...origins: string[]): Row[] => origins.map((origin) => ({ origin, passes: true }))
const fail = (...origins: string[]): Row[] => origins.map((origin) => ({ origin, passes: false }))

void t.test('by default pages of the own host may connect, on any scheme and port', async (t) => {
  const rows: Row[] = [
    { passes: true },
    ...pass(
      'https://example.com',
      'http://example.com',
      'http://example.com:8080',
      'HTTPS://EXAMPLE.COM',
      'https://Example.com:443',
      'wss://example.com',
      'capacitor://example.com'
    ),
    ...fail(
      'https://evil.example',
      'https://evil-example.com',
      'https://example.com.evil.com',
      'https://sub.example.com',
      'https://com',
      'https://example.co',
      'https://example.com.'
    ),
    ...fail(
      'null',
      '',
      'example.com',
      '//example.com',
      'https://',
      'https:',
      'file://',
      'https://example.com:99999',
      'https://exam ple.com',
      'about:blank',
      'data:,example.com'
    ),
    ...fail(
      'https://example.com@evil.com',
      'https://user:password@example.com',
      'https://evil.com/example.com',
      'https://evil.com?example.com',
      'https://evil.com#example.com',
      'https://evil.com\\.example.com',
      'https://example.com/path'
    ),
    ...fail(
      'https://example.com, https://example.com',
      'https://example.com https://evil.com',
      'https://evil.com,example.com'
    ),
    { host: 'example.com:8080', origin: 'https://example.com', passes: true },
    { host: 'EXAMPLE.com', origin: 'https://example.COM', passes: true },
    { host: 'evil.com', origin: 'https://example.com', passes: false },
    { host: '127.0.0.1:3000', origin: 'http://127.0.0.1:5000', passes: true },
    { host: '127.0.0.1', origin: 'http://localhost', passes: false },
    { host: '[::1]:3000', origin: 'http://[::1]:5000', passes: true },
    { host: '[::1]', origin: 'http://[0:0:0:0:0:0:0:1]', passes: true },
    { host: '[::1]', origin: 'http://[::2]', passes: false },
    { host: 'bücher.example', origin: 'https://xn--bcher-kva.example', passes: false },
    { host: 'xn--bcher-kva.example', origin: 'https://xn--bcher-kva.example', passes: true }
  ]
  await check(t, undefined, rows)
  await check(t, true, rows)
})

const LISTS: Array<{ list: string[], rows: Row[] }> = [
  {
    list: ['https://example.com'],
    rows: [
      { passes: true },
      ...pass('https://example.com', 'https://example.com:443', 'https://EXAMPLE.com'),
      ...fail(
        'http://example.com',
        'wss://example.com',
        'https://example.com:8443',
        'https://sub.example.com',
        'https://evil-example.com',
        'https://example.com.evil.com',
        'null',
        '',
        'https://'
      )
    ]
  },
  {
    list: ['//example.com'],
    rows: [
      ...pass(
        'https://example.com',
        'http://example.com',
        'https://example.com:8443',
        'http://example.com:1',
        'capacitor://example.com'
      ),
      ...fail(
        'https://sub.example.com',
        'https://evil-example.com',
        'https://example.com.evil.com',
        'null'
      )
    ]
  },
  {
    list: ['//example.com:888'],
    rows: [
      ...pass('https://example.com:888', 'http://example.com:888'),
      ...fail('https://example.com', 'https://example.com:8888', 'https://example.com:88')
    ]
  },
  {
    list: ['//example.com:443'],
    rows: [
      ...pass('https://example.com', 'wss://example.com', 'http://example.com:443'),
      ...fail('http://example.com', 'https://example.com:80')
    ]
  },
  {
    list: ['//example.com:80'],
    rows: [...pass('http://example.com'), ...fail('https://example.com')]
  },
  {
    list: ['https://example.com:443'],
    rows: [...pass('https://example.com'), ...fail('http://example.com:443')]
  },
  {
    list: ['HTTPS://Example.COM:8443'],
    rows: [...pass('https://example.com:8443'), ...fail('https://example.com')]
  },
  {
    list: ['//*.example.com'],
    rows: [
      ...pass(
        'https://example.com',
        'http://a.example.com',
        'https://a.b.c.example.com:8443',
        'https://A.EXAMPLE.com'
      ),
      ...fail(
        'https://evil-example.com',
        'https://aexample.com',
        'https://example.com.evil.com',
        'https://a.example.com.evil.com',
        'https://com',
        'https://.com',
        'null',
        'https://evil.com/.example.com',
        'https://evil.com?.example.com',
        'https://evil.com#.example.com',
        'https://evil.com\\.example.com',
        'https://a.example.com@evil.com'
      )
    ]
  },
  {
    list: ['https://*.example.com:8443'],
    rows: [
      ...pass('https://example.com:8443', 'https://a.example.com:8443'),
      ...fail('https://a.example.com', 'http://a.example.com:8443')
    ]
  },
  {
    list: ['http://[::1]:3000', '//[2001:DB8::1]'],
    rows: [
      ...pass('http://[::1]:3000', 'https://[2001:db8::1]', 'https://[2001:db8:0::1]:1'),
      ...fail('http://[::1]', 'http://[::2]:3000', 'http://127.0.0.1:3000')
    ]
  },
  {
    list: ['https://a.example', '//b.example:1', 'capacitor://localhost'],
    rows: [
      ...pass('https://a.example', 'http://b.example:1', 'capacitor://localhost'),
      ...fail(
        'http://a.example',
        'https://b.example',
        'https://localhost',
        'https://c.example',
        'https://example.com'
      )
    ]
  },
  { list: [], rows: [{ passes: true }, ...fail('https://example.com', 'http://127.0.0.1')] }
]

void t.test('with a list, only its origins are allowed, not the own host', async (t) => {
  for (const { list, rows } of LISTS) {
    await t.test(JSON.stringify(list), (t) => check(t, list, rows))
  }
})

void t.test('an entry that could never match is refused at start', async (t) => {
  for (const entry of [
    'example.com',
    '*.example.com',
    'https://example.com/',
    'https://example.com/path',
    'https://a@example.com',
    '',
    '//',
    'https://',
    '//*',
    'https://*',
    '//a.*.com',
    '//*.*.com',
    '//*example.com',
    '//exam ple.com',
    '//example.com:99999'
  ]) {
    await t.rejects(
      startServer(t, () => {}, { websock: { checkOrigin: [entry] } }),
      { code: 'FST_WEBSOCK_INVALID_OPTION' },
      entry
    )
  }
})

void t.test('a function decides about every origin', async (t) => {
  const rows = [
    { passes: true },
    ...pass('https://good.example', 'null'),
    ...fail('https://evil.example', 'https://example.com')
  ]
  const isGood = (origin: string): boolean => origin === 'https://good.example' || origin === 'null'
  await check(t, isGood, rows)
  await check(t, async (origin) => isGood(origin), rows)
  await check(t, (origin, request) => request.headers['x-pass'] === origin, [
    { origin: 'a', passes: true, headers: { 'X-Pass': 'a' } },
    { origin: 'a', passes: false, headers: { 'X-Pass': 'b' } }
  ])
})

void t.test('a function that fails, or returns no boolean, refuses the upgrade', async (t) => {
  const failing: Array<[string, () => unknown, number]> = [
    ['throws', () => { throw new Error('broken') }, 500],
    [
      'throws with a status',
      () => { throw Object.assign(new Error('broken'), { statusCode: 451 }) },
      451
    ],

    [
      'throws undefined',
      () => {
        // eslint-disable-next-line no-throw-literal -- the tested case
        throw undefined
      },
      403
    ],
    ['rejects', async () => { throw new Error('broken') }, 500],
    [
      'rejects with a status',
      async () => { throw Object.assign(new Error('broken'), { statusCode: 451 }) },
      451
    ],
    // eslint-disable-next-line prefer-promise-reject-errors -- the tested case
    ['rejects with undefined', () => Promise.reject(), 403],
    // eslint-disable-next-line prefer-promise-reject-errors -- the tested case
    ['rejects with null', () => Promise.reject(null), 403],
    ['returns undefined', () => undefined, 403],
    ['returns a string', () => 'no', 403],
    ['returns a number', () => 1, 403],
    ['resolves with undefined', async () => undefined, 403],
    ['resolves with a string', async () => 'no', 403]
  ]
  for (const [name, checkOrigin, status] of failing) {
    const server = await startServer(t, (app) => {
      app.get('/ws', { websocketHandler: {} })
    }, { websock: { checkOrigin: checkOrigin as () => boolean } })
    t.equal(
      (await refused(server.url('/ws'), { origin: 'https://a.example' })).status,
      status,
      name
    )
    await connect(t, server.url('/ws'))
  }
})

void t.test('the own host is X-Forwarded-Host behind a trusted proxy, else Host', async (t) => {
  const headers = { 'X-Forwarded-Host': 'public.example' }
  await check(
    t,
    true,
    [
      { host: 'internal', origin: 'https://public.example', passes: true, headers },
      { host: 'internal', origin: 'https://internal', passes: false, headers }
    ],
    { fastify: { trustProxy: true } }
  )
  for (const trustProxy of [false, '10.0.0.1']) {
    await check(
      t,
      true,
      [
        { host: 'internal', origin: 'https://public.example', passes: false, headers },
        { host: 'internal', origin: 'https://internal', passes: true, headers }
      ],
      { fastify: { trustProxy } }
    )
  }
})

void t.test('checkOrigin: false allows any origin, and is logged at start', async (t) => {
  await check(t, false, [{ passes: true }, ...pass('https://evil.example', 'null', '', 'x y')])
  const server = await startServer(t, () => {}, { websock: { checkOrigin: false } })
  t.match(server.logs, [{ level: 40, msg: /checkOrigin is false/ }])
  t.equal(server.logs.length, 1)
  const without = await startServer(t, (app) => { app.get('/ws', { websocketHandler: {} }) })
  t.same(without.logs, [])
})

void t.test('a route may have its own checkOrigin', async (t) => {
  const server = await startServer(t, (app) => {
    app.get('/plugin', { websocketHandler: {} })
    app.get('/open', { websocketOptions: { checkOrigin: false }, websocketHandler: {} })
    app.get('/list', { websocketOptions: { checkOrigin: ['//b.example'] }, websocketHandler: {} })
  }, { websock: { checkOrigin: ['//a.example'] } })
  t.match(server.logs, [{ level: 40, msg: /GET:\/open.*checkOrigin is false/ }])
  t.equal(server.logs.length, 1)
  for (const [path, origin, status] of [
    ['/plugin', 'a', 101],
    ['/plugin', 'b', 403],
    ['/open', 'c', 101],
    ['/list', 'a', 403],
    ['/list', 'b', 101]
  ] as const) {
    if (status === 101) await connect(t, server.url(path), { origin: `https://${origin}.example` })
    else {
      t.equal(
        (await refused(server.url(path), { origin: `https://${origin}.example` })).status,
        403,
        path + origin
      )
    }
  }
  t.match(
    await exchange(
      t,
      server.port,
      handshake('/list', { Origin: `https://${'e'.repeat(5000)}.example` })
    ),
    { status: 403, body: /Origin https:\/\/e{192} is not allowed here/ }
  )
})
