/* Topics that carry their types. */
import Fastify from 'fastify'
import { Type, type TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { topic, typed, type PresenceEntry, type Topic } from '../../src/index.ts'
import { expectType } from './expect.ts'

interface Said { event: 'said', text: string }
interface Count { event: 'count', count: number }
interface Tick { tick: number }

const room = (id: string) => topic<{ Message: Said, Info: Tick }>(`room ${id}`)
const messages = topic<{ Message: Said | Count }>('messages')
const infos = topic<{ Info: Tick }>('infos')
expectType<Topic<Said, Tick>>()(room('5'))
expectType<string>()(room('5').name)

const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()
const send = Type.Object({ event: Type.Literal('said'), text: Type.String() })

app.get('/rooms/:room', {
  schema: { websocket: { send, info: typed<Tick | 'other'>() } },
  websocketHandler: {
    init (_args, ws) {
      // Fewer messages and infos than the route has are fine.
      ws.subscribe(room('5'))
      ws.subscribe(infos)
      ws.subscribe('untyped')
      // @ts-expect-error -- a count cannot be sent here
      ws.subscribe(messages)
      // @ts-expect-error -- nor are such infos taken
      ws.subscribe(topic<{ Info: string }>('strings'))
      ws.unsubscribe(messages)
      ws.track(messages, 'ann', { since: 1 })
      ws.untrack(messages, 'ann')
      // @ts-expect-error -- a number is no topic
      ws.subscribe(5)
      // @ts-expect-error -- nor is any object with a name
      ws.subscribe({ name: 'x' })
    }
  }
})
app.get('/any', { websocketHandler: { init: (_args, ws) => ws.subscribe(infos) } })
// @ts-expect-error -- without a `send` schema only strings and bytes go out
app.get('/raw', { websocketHandler: { init: (_args, ws) => ws.subscribe(room('5')) } })

app.websock.broadcast(room('5'), { event: 'said', text: 'hi' })
app.websock.broadcast(messages, { event: 'count', count: 1 }, { except: 'address' })
app.websock.publish(infos, { tick: 1 })
app.websock.broadcast('untyped', { evnt: 'sad' })
app.websock.publish('untyped', 5)
// @ts-expect-error -- no such event
app.websock.broadcast(room('5'), { event: 'sad', text: 'hi' })
// @ts-expect-error -- `tick` is a number
app.websock.publish(room('5'), { tick: '1' })
// @ts-expect-error -- nothing is published on it
app.websock.publish(messages, { tick: 1 })
// @ts-expect-error -- and nothing broadcast on this
app.websock.broadcast(infos, { event: 'said', text: 'hi' })
// @ts-expect-error -- a topic without types carries nothing
app.websock.broadcast(topic('bare'), 'x')

app.websock.subscribe(room('5'), { handleInfo (info) { expectType<Tick>()(info) } })
app.websock.subscribe('untyped', { handleInfo (info: string) { expectType<string>()(info) } })
// @ts-expect-error -- the infos of the topic are no strings
app.websock.subscribe(room('5'), { handleInfo (info: string) { void info } })
app.websock.unsubscribe(room('5'), {})
app.websock.track(room('5'), 'server')
app.websock.untrack(room('5'), 'server')
expectType<PresenceEntry[]>()(app.websock.presence(room('5')))
// @ts-expect-error -- a misspelt type
topic<{ Messages: Said }>('x')
