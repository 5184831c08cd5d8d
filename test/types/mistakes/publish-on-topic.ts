import Fastify from 'fastify'
import websock, { topic } from 'fastify-websock'

const app = Fastify()
await app.register(websock)
interface Tick { tick: number }
const room = topic<{ Info: Tick }>('room 5')

app.websock.publish(room, { tock: 1 })

/*
9:29 Object literal may only specify known properties, and 'tock' does not exist in type 'Tick'.
*/
