import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import jwt from '@fastify/jwt'
import type { FastifyPluginAsync, RouteOptions } from 'fastify'
import t from 'tap'
import type { MemoryNetwork } from '../../src/engines/memory-engine.ts'
import type { Engine, WebsockOptions } from '../../src/index.ts'
import { connect, refused } from '../helpers/client.ts'
import { until } from '../helpers/cluster.ts'
import { buildApp, listen, type Teardown, type TestServer } from '../helpers/server.ts'

interface Options { secret: string }

const SECRET = 'a secret of more than 32 characters'

void t.test('auth: no token, no connection; one that expires ends the connection', async (t) => {
  const url = (await start(t, 'auth')).url('/ws/me')
  const withToken = await createSigner(t)
  const now = Math.floor(Date.now() / 1000)
  t.equal((await refused(url)).status, 401)
  t.equal((await refused(url, { headers: { cookie: 'token=x' } })).status, 401)
  t.equal((await refused(url, withToken({ sub: 'ann', exp: now - 1 }))).status, 401, 'expired')
  t.equal((await refused(url, withToken({ sub: 'ann' }))).status, 401, 'without an expiry')

  const bob = await connect(t, url, withToken({ sub: 'bob', exp: now + 60 * 86_400 }))
  const ann = await beforeExpiry(async (exp) => {
    const client = await connect(t, url, withToken({ sub: 'ann', exp }))
    client.send({ event: 'whoami' })
    t.same(await client.nextJson(), { event: 'you', user: 'ann' })
    return client
  })
  t.same(await ann.closed, { code: 4403, reason: 'the session has expired' })
  bob.send({ event: 'whoami' })
  t.same(
    await bob.nextJson(),
    { event: 'you', user: 'bob' },
    'the expiry is beyond the longest timer'
  )
})

void t.test('auth: of a flood of messages, none is handled after the expiry', async (t) => {
  const handled: number[] = []
  const { url } = await start(t, 'auth', { slowedBy: handled })
  const withToken = await createSigner(t)
  const late = await beforeExpiry(async (exp) => {
    handled.length = 0
    const ann = await connect(t, url('/ws/me'), withToken({ sub: 'ann', exp }))
    for (let n = 0; n < 1000; n++) ann.send({ event: 'whoami' })
    t.same(await ann.closed, { code: 4403, reason: 'the session has expired' })
    if (handled.length <= 10) throw new Error(`only ${handled.length} messages were handled`)
    return handled.filter((at) => at >= exp * 1000)
  })
  // One: the clock may reach the expiry between the guard and the handler.
  t.ok(late.length <= 1, `${late.length} messages were handled after the expiry`)
})

/**
 * Runs with the time, in seconds, at which a token is to expire. When it fails and that time is
 * over, it may have been too slow, and has four more tries, each with a second more.
 */
async function beforeExpiry<T> (run: (exp: number) => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    const exp = Math.floor(Date.now() / 1000) + 1 + tries
    try {
      return await run(exp)
    } catch (error) {
      if (Date.now() < exp * 1000 || tries === 5) throw error
    }
  }
}

void t.test('kick: an HTTP request ends the connection with that id', async (t) => {
  const server = await start(t, 'kick')
  const ann = await connect(t, server.url('/ws/id'))
  const bob = await connect(t, server.url('/ws/id'))
  const kickId = async (id: string) =>
    (await fetch(server.http(`/kick/${id}`), { method: 'POST' })).json()
  const { id } = await ann.nextJson<{ id: string }>()
  t.same(await kickId(id), { kicked: true })
  t.same(await ann.closed, { code: 4001, reason: 'kicked' })
  t.same(await kickId(id), { kicked: false })
  t.same(await kickId('nobody'), { kicked: false })
  const other = await bob.nextJson<{ id: string }>()
  t.same(await kickId(other.id), { kicked: true }, 'the other connection was still open')
})

void t.test('end a room: it ends on both nodes, also for a client that floods', async (t) => {
  const network = createNetwork()
  const handled: number[] = []
  const one = await start(t, 'end-room', { engine: network.createEngine(), slowedBy: handled })
  const two = await start(t, 'end-room', { engine: network.createEngine() })
  const flooding = await connect(t, one.url('/ws/rooms/a'))
  const near = await connect(t, one.url('/ws/rooms/a'))
  const far = await connect(t, two.url('/ws/rooms/a'))
  const other = await connect(t, one.url('/ws/rooms/b'))
  await until(() => one.app.websock.presence('room a').length === 3, 'present on both nodes')
  for (let n = 0; n < 1000; n++) flooding.send({ event: 'work' })
  await flooding.nextJson()
  const { status } = await fetch(one.http('/rooms/a'), { method: 'DELETE' })
  t.equal(status, 200)
  const ended = { code: 4000, reason: 'the room has ended' }
  t.same(await flooding.closed, ended)
  t.ok(handled.length < 900, `${handled.length} of 1 000 messages were handled`)
  t.same(JSON.parse(String(flooding.received.at(-1))), { event: 'ended' })
  for (const client of [near, far]) {
    t.same(await client.nextJson(), { event: 'ended' })
    t.same(await client.closed, ended)
  }
  other.send({ event: 'work' })
  t.same(await other.nextJson(), { event: 'done' }, 'the other room stays open')
})

void t.test('end a room: also for connections whose presence has not arrived yet', async (t) => {
  const network = createNetwork()
  const one = await start(t, 'end-room', { engine: network.createEngine() })
  const two = await start(t, 'end-room', { engine: network.createEngine() })
  await until(() => one.app.websock.ready() && two.app.websock.ready(), 'ready')
  Object.assign(one.app.websock, { presence: () => [] })
  const far = await connect(t, two.url('/ws/rooms/a'))
  t.equal(await two.app.websock.subscriptionReady('room a'), true)
  await fetch(one.http('/rooms/a'), { method: 'DELETE' })
  t.same(await far.nextJson(), { event: 'ended' })
  t.same(await far.closed, { code: 4000, reason: 'the room has ended' })
})

void t.test('a large room: many joins are reported in few messages, on two nodes', async (t) => {
  const network = createNetwork()
  const nodes = [
    await start(t, 'large-room', { engine: network.createEngine() }),
    await start(t, 'large-room', { engine: network.createEngine() })
  ]
  await until(() => nodes.every(({ app }) => app.websock.ready()), 'ready')
  const clients = await Promise.all(Array.from({ length: 60 }, (_, n) =>
    connect(t, nodes[n % 2]?.url(`/ws/large-rooms/a?nick=n${n}`) ?? '')))
  for (const client of clients) {
    let here: { count: number, nicks: string[] }
    do here = await client.nextJson()
    while (here.count < 60)
    t.equal(here.nicks.length, 50)
    t.ok(client.received.length < 10, `${client.received.length} messages for 60 changes`)
  }
  const [first, ...others] = clients
  for (const client of others) client.close()
  let left: { count: number, nicks: string[] } | undefined
  do left = await first?.nextJson()
  while (left?.count !== 1)
  t.same(left.nicks, ['n0'])
})

void t.test('push from HTTP: a notice reaches each connection of the user', async (t) => {
  const server = await start(t, 'push-from-http')
  const connectAs = (id: string) => connect(t, server.url(`/ws/notices?id=${id}`))
  const [phone, laptop] = [await connectAs('ann'), await connectAs('ann')]
  const bob = await connectAs('bob')
  const notify = async (id: string, notice: object) => (await fetch(server.http(`/notices/${id}`), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(notice)
  })).status
  t.equal(await notify('ann', { text: 'hello' }), 202)
  const hello = { event: 'notice', text: 'hello' }
  t.same([await phone.nextJson(), await laptop.nextJson()], [hello, hello])
  t.equal(await notify('ann', {}), 400)
  t.equal(await notify('bob', { text: 'hi' }), 202)
  t.same(await bob.nextJson(), { event: 'notice', text: 'hi' }, 'bob gets no notice for ann')
})

interface StartOptions {
  engine?: Engine
  /** Makes `handleIn` of the recipe take 5 ms. Gets the times of its calls. */
  slowedBy?: number[]
}

/**
 * Starts a server with a compiled recipe and with the built package that the recipe imports. In the
 * source of a test, the types of that package would be merged with those of src/.
 */
async function start (
  t: Teardown, name: string, { engine, slowedBy }: StartOptions = {}
): Promise<Omit<TestServer, 'logs'>> {
  const { app } = buildApp(t)
  if (slowedBy !== undefined) app.addHook('onRoute', (route) => slowDown(route, slowedBy))
  await app.register(
    require('fastify-websock') as FastifyPluginAsync<WebsockOptions>,
    engine === undefined ? {} : { engine }
  )
  const file = join(__dirname, '../../example/dist/recipes', `${name}.js`)
  const [recipe] = Object.values(require(file) as Record<string, FastifyPluginAsync<Options>>)
  if (recipe === undefined) throw new Error(`${file} exports no plugin`)
  await app.register(recipe, { secret: SECRET })
  return listen(app)
}

function slowDown ({ websocketHandler }: RouteOptions, calledAt: number[]): void {
  const handleIn = websocketHandler?.handleIn
  if (!websocketHandler || !handleIn) return
  const slow: typeof handleIn = async (message, state, ws) => {
    calledAt.push(Date.now())
    await delay(5)
    return handleIn.call(websocketHandler, message, state, ws)
  }
  Object.assign(websocketHandler, { handleIn: slow })
}

/** The network of the built package. */
function createNetwork (): MemoryNetwork {
  const engines = require('fastify-websock/testing/engines') as {
    MemoryNetwork: typeof MemoryNetwork
  }
  return new engines.MemoryNetwork()
}

/** Makes the headers of a client with a token in its cookie. */
async function createSigner (
  t: Teardown
): Promise<(claims: object) => { headers: { cookie: string } }> {
  const { app } = buildApp(t)
  await app.register(jwt, { secret: SECRET })
  await app.ready()
  return (claims) => ({ headers: { cookie: `token=${app.jwt.sign(claims)}` } })
}
