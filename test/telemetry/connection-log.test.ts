import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { CONNECTION_LOG_FIELDS } from '../../src/telemetry/connection-log-options.ts'
import { connect } from '../helpers/client.ts'
import { until } from '../helpers/differential.ts'
import { startServer, type LogLine } from '../helpers/server.ts'

const DEBUG = 20
const INFO = 30
const WARN = 40

const isAboutWebsocket = ({ msg }: LogLine): boolean => msg.startsWith('websocket ')

void t.test('one line at the end of a connection, and one at debug at its start', async (t) => {
  const { url, logs, app } = await startServer(t, (app) => {
    app.get('/rooms/:room', {
      websocketHandler: { handleIn: ({ data }, _state, ws) => ws.push(data) }
    })
  }, { level: 'debug' })
  const client = await connect(t, url('/rooms/secret-room?token=secret-query'), {
    headers: { cookie: 'session=secret-cookie', authorization: 'Bearer secret-bearer' }
  })
  client.send('secret-message')
  await client.next()
  client.close(4000, 'done')
  await until(() => logs.some(({ msg }) => msg === 'websocket closed'), 'no line about the end')
  const [opened, closed, ...others] = logs.filter(isAboutWebsocket)
  t.same(others, [])
  const reqId = logs.find(({ msg }) => msg === 'incoming request')?.['reqId']
  t.ok(reqId)
  const id = opened?.websocket
  t.match(opened, { level: DEBUG, msg: 'websocket opened', route: '/rooms/:room', reqId })
  t.match(id, /^\S+\.1$/)
  const { durationMs, time, pid, hostname, ...rest } = closed as LogLine
  t.ok(Number.isInteger(durationMs))
  t.same(rest, {
    level: INFO,
    msg: 'websocket closed',
    reqId,
    websocket: id,
    route: '/rooms/:room',
    messagesReceived: 1,
    messagesSent: 1,
    bytesReceived: 6 + 14 + 6 + 2 + 4,
    bytesSent: 2 + 14 + 2 + 2 + 4,
    type: 'remote',
    code: 4000,
    reason: 'done'
  })
  t.notMatch(JSON.stringify([opened, closed]), /secret/)
  t.equal(app.websock.stats().routes['/rooms/:room']?.bytesReceived, 32)
})

void t.test('the level and the fields are options, also of a route', async (t) => {
  const { url, logs } = await startServer(t, (app) => {
    app.get('/warned', { websocketHandler: {} })
    app.get('/silent', {
      websocketOptions: { connectionLogLevel: 'silent' },
      websocketHandler: {}
    })
  }, {
    level: 'trace',
    websock: { connectionLogLevel: 'warn', connectionLogFields: ['code', 'route'] }
  })
  for (const path of ['/silent', '/warned']) {
    const client = await connect(t, url(path))
    client.close(1000)
    await client.closed
  }
  await until(() => logs.some(({ msg }) => msg === 'websocket closed'), 'no line about the end')
  const lines = logs.filter(isAboutWebsocket)
  t.same(lines.map(({ level, msg, route }) => [level, msg, route]), [
    [DEBUG, 'websocket opened', '/warned'],
    [WARN, 'websocket closed', '/warned']
  ])
  const { level, time, pid, hostname, reqId, ...fields } = lines[1] as LogLine
  t.same(fields, { msg: 'websocket closed', route: '/warned', code: 1000 })
})

void t.test('the line has the code of an error, but not its text', async (t) => {
  const { url, logs } = await startServer(t, (app) => {
    app.get('/coded', {
      websocketHandler: {
        handleIn: (_message, _state, ws) =>
          ws.stop(Object.assign(new Error('secret text'), { code: 'E_QUOTA' }))
      }
    })
    app.get('/plain', { websocketHandler: { handleIn () { throw new RangeError('secret') } } })
    app.get('/odd', {
      websocketHandler: { handleIn () { throw new Proxy({}, { get () { throw Error('no') } }) } }
    })
    app.get('/flood', {
      websocketOptions: { rateLimit: { messages: 1 } },
      websocketHandler: { handleIn () {} }
    })
  }, { level: 'info' })
  for (const path of ['/coded', '/plain', '/odd', '/flood']) {
    const client = await connect(t, url(path))
    client.send('x')
    client.send('y')
    await client.closed
  }
  const ends = (): LogLine[] => logs.filter(({ msg }) => msg === 'websocket closed')
  await until(() => ends().length === 4, 'not each connection has a line')
  t.same(ends().map(({ route, type, code, error }) => [route, type, code, error]), [
    ['/coded', 'error', 1011, 'E_QUOTA'],
    ['/plain', 'error', 1011, 'RangeError'],
    ['/odd', 'error', 1011, '(cannot be read)'],
    ['/flood', 'error', 1008, 'FST_WEBSOCK_RATE_LIMITED']
  ])
  t.notMatch(JSON.stringify(ends()), /secret/)
})

void t.test('with a logger that throws, connections work and end', async (t) => {
  let thrown = 0
  const log = (_fields: unknown, text?: string): void => {
    if (text?.startsWith('websocket ') !== true) return
    thrown++
    throw new Error('the disk is full')
  }
  const logger = {
    level: 'debug',
    fatal: log,
    error: log,
    warn: log,
    info: log,
    debug: log,
    trace: log,
    silent: log,
    child: () => logger
  }
  const { app, url } = await startServer(t, (app) => {
    app.get('/', {
      websocketHandler: { handleIn: ({ data }, _state, ws) => ws.push(data) }
    })
  }, { fastify: { loggerInstance: logger as never, logger: undefined as never } })
  const client = await connect(t, url('/'))
  client.send('still here')
  t.equal(await client.next(), 'still here')
  client.close()
  await client.closed
  await until(() => app.websock.stats().routes['/']?.connections.closing === 0, 'no end')
  t.ok(thrown >= 2)
})

void t.test('docs/observing.md has each field, and no other', (t) => {
  const docs = readFileSync(join(__dirname, '../../docs/observing.md'), 'utf8')
  const table = docs.slice(docs.indexOf('## One log line'))
  const rows = [...table.matchAll(/^\| (`\w+`(?:, `\w+`)*) \|/gm)]
    .flatMap(([, names = '']) => names.replaceAll('`', '').split(', '))
  t.same(rows, CONNECTION_LOG_FIELDS)
  t.end()
})
