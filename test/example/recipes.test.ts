import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import jwt from '@fastify/jwt'
import type { FastifyPluginAsync } from 'fastify'
import t from 'tap'
import { connect, refused } from '../helpers/client.ts'
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
  const ann = await connect(t, url, withToken({ sub: 'ann', exp: now + 2 }))
  ann.send({ event: 'whoami' })
  t.same(await ann.nextJson(), { event: 'you', user: 'ann' })
  t.same(await ann.closed, { code: 4403, reason: 'the session has expired' })
  bob.send({ event: 'whoami' })
  t.same(await bob.nextJson(), { event: 'you', user: 'bob' }, 'valid for longer than a timer takes')
})

void t.test('auth: of a flood of messages, none is handled after the expiry', async (t) => {
  const built = buildApp(t)
  const handled: number[] = []
  // The handler of the recipe, made slow: 1 000 messages take 5 s.
  built.app.addHook('onRoute', ({ websocketHandler }) => {
    const handleIn = websocketHandler?.handleIn
    if (!websocketHandler || !handleIn) return
    websocketHandler.handleIn = async (message, state, ws) => {
      handled.push(Date.now())
      await delay(5)
      return handleIn.call(websocketHandler, message, state, ws)
    }
  })
  const { url } = await start(t, 'auth', built)
  const withToken = await createSigner(t)
  const exp = Math.floor(Date.now() / 1000) + 2
  const ann = await connect(t, url('/ws/me'), withToken({ sub: 'ann', exp }))
  for (let n = 0; n < 1000; n++) ann.send({ event: 'whoami' })
  t.same(await ann.closed, { code: 4403, reason: 'the session has expired' })
  const late = handled.filter((at) => at >= exp * 1000)
  t.ok(handled.length > 10, `${handled.length} messages were handled`)
  // One: the clock may reach the expiry between the guard and the handler.
  t.ok(late.length <= 1, `${late.length} messages were handled after the expiry`)
})

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
  t.same(await kickId(other.id), { kicked: true }, 'the other one was left alone')
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
  t.same(await bob.nextJson(), { event: 'notice', text: 'hi' }, 'what was for ann did not come')
})

/**
 * A server with a recipe, as it was compiled, and with the built package that it imports: in the
 * source of a test, the types of that package would meet those of src/.
 */
async function start (
  t: Teardown, name: string, { app } = buildApp(t)
): Promise<Omit<TestServer, 'logs'>> {
  await app.register(require('fastify-websock') as FastifyPluginAsync)
  const file = join(__dirname, '../../example/dist/recipes', `${name}.js`)
  const [recipe] = Object.values(require(file) as Record<string, FastifyPluginAsync<Options>>)
  if (recipe === undefined) throw new Error(`${file} exports no plugin`)
  await app.register(recipe, { secret: SECRET })
  return listen(app)
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
