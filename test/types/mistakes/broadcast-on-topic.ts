import Fastify from 'fastify'
import websock, { topic } from 'fastify-websock'

const app = Fastify()
await app.register(websock)
interface Said { event: 'said', text: string }
const room = topic<{ Message: Said }>('room 5')

app.websock.broadcast(room, { event: 'sad', text: 'x' })

/*
9:31 Type '"sad"' is not assignable to type '"said"'.
*/
