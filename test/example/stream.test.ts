import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { stream } from '../../example/stream.ts'
import { connect } from '../helpers/client.ts'
import { startServer } from '../helpers/server.ts'

const ask = (prompt: string): string => JSON.stringify({ event: 'ask', prompt })

void t.test('an answer comes token by token, and a message cancels it', async (t) => {
  const ended: string[] = []
  const server = await startServer(t, async (app) => {
    await app.register(stream, {
      async * answer (prompt, signal) {
        try {
          for (let n = 0; !signal.aborted; n++) {
            yield `${prompt} ${n}`
            await nextTurn()
          }
        } finally {
          ended.push(prompt)
        }
      }
    })
  })
  const client = await connect(t, server.url('/ws/stream'))
  client.send(ask('one'))
  t.same(await client.nextJson(), { event: 'token', text: 'one 0' })
  t.same(await client.nextJson(), { event: 'token', text: 'one 1' })
  client.send({ event: 'cancel' })
  let last: { event: string, cancelled?: boolean }
  do last = await client.nextJson()
  while (last.event === 'token')
  t.same(last, { event: 'done', cancelled: true })
  client.send(ask('two'))
  t.same(await client.nextJson(), { event: 'token', text: 'two 0' })
  client.socket.terminate()
  while (ended.length < 2) await nextTurn()
  t.same(ended, ['one', 'two'], 'the end of the connection ends the generator')
  t.same(server.logs, [])
})

void t.test('the default answer is the words of the prompt', async (t) => {
  const server = await startServer(t, async (app) => { await app.register(stream) })
  const client = await connect(t, server.url('/ws/stream'))
  client.send(ask('hello world'))
  t.same(await client.nextJson(), { event: 'token', text: 'hello' })
  t.same(await client.nextJson(), { event: 'token', text: 'world' })
  t.same(await client.nextJson(), { event: 'done', cancelled: false })
})

void t.test('a client that does not read pauses the generator, and gets all tokens', async (t) => {
  let made = 0
  const TOKENS = 400
  const server = await startServer(t, async (app) => {
    await app.register(stream, {
      async * answer () {
        for (; made < TOKENS; made++) yield `${made}`.padEnd(50_000, '.')
      }
    })
  })
  const client = await connect(t, server.url('/ws/stream'))
  client.socket.pause()
  client.send(ask('much'))
  let before = -1
  for (let quiet = 0; quiet < 200; quiet++) {
    if (made !== before) quiet = 0
    before = made
    await nextTurn()
  }
  t.ok(made < TOKENS, `${made} tokens were made for a client that reads nothing`)
  client.socket.resume()
  const tokens: unknown[] = []
  for (let n = 0; n < TOKENS; n++) {
    tokens.push((await client.nextJson<{ text: string }>()).text.replaceAll('.', ''))
  }
  t.same(tokens, Array.from({ length: TOKENS }, (_none, n) => `${n}`))
  t.same(await client.nextJson(), { event: 'done', cancelled: false })
})
