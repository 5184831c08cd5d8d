'use strict'

// The server of the soak test: echoes, posts over refs, and counts received and sent messages.
const { monitorEventLoopDelay } = require('node:perf_hooks')
const Fastify = require('fastify')
const websock = require('../../index.js')

const delay = monitorEventLoopDelay({ resolution: 10 })
const counts = { opened: 0, terminated: 0, received: 0, sent: 0, failed: 0 }
const connections = new Map()

/** Posts an info to another connection, which sends a message for it. */
function postToOther (id) {
  const [first] = connections.keys()
  if (first === undefined || first === id) return
  const ref = connections.get(first)
  // Moves it to the end, so that each connection gets its turn.
  connections.delete(first)
  connections.set(first, ref)
  ref.post('told')
}

const message = {
  type: 'object',
  required: ['kind', 'n'],
  additionalProperties: false,
  properties: {
    kind: { enum: ['echo', 'slow', 'tell', 'later', 'stop'] },
    n: { type: 'integer' },
    pad: { type: 'string' }
  }
}

const handler = {
  init (_args, ws) {
    counts.opened++
    connections.set(ws.id, ws.ref)
    return ws.ok({ id: ws.id })
  },
  handleIn (message, state, ws) {
    counts.received++
    switch (message.kind) {
      case 'slow': return new Promise((resolve) => setImmediate(resolve, push(ws, message)))
      case 'tell': postToOther(state.id); return push(ws, message)
      case 'later': ws.postAfter(message, 1 + message.n % 20); return
      case 'stop': counts.sent++; return ws.stop('normal', undefined, message)
      default: return push(ws, message)
    }
  },
  handleInfo: (info, _state, ws) => push(ws, info === 'told' ? { kind: 'told', n: 0 } : info),
  terminate (reason, state) {
    counts.terminated++
    connections.delete(state.id)
    if (reason.type === 'error') counts.failed++
  }
}

function push (ws, message) {
  counts.sent++
  return ws.push(message)
}

function report () {
  globalThis.gc()
  const { rss, heapUsed, external } = process.memoryUsage()
  const ms = (ns) => ns / 1e6
  const value = {
    ...counts,
    rss,
    heapUsed,
    external,
    connections: connections.size,
    delay: { p50: ms(delay.percentile(50)), p99: ms(delay.percentile(99)), max: ms(delay.max) }
  }
  delay.reset()
  return value
}

async function main () {
  const app = Fastify()
  await app.register(websock, { rateLimit: { messages: 1_000_000, intervalMs: 1000 } })
  const schema = {
    websocket: {
      receive: message,
      send: {
        type: 'object',
        properties: { kind: { type: 'string' }, n: { type: 'integer' }, pad: { type: 'string' } }
      }
    }
  }
  app.get('/plain', { schema, websocketHandler: handler })
  app.get('/deflate', { schema, websocketOptions: { compress: true }, websocketHandler: handler })
  await app.listen({ port: 0, host: '127.0.0.1' })
  delay.enable()
  process.on('message', async (question) => {
    if (question === 'close') {
      await app.close()
      process.send({ type: 'close', value: report() }, () => process.disconnect())
    } else process.send({ type: question, value: report() })
  })
  process.on('disconnect', () => process.exit())
  process.send({ type: 'ready', value: app.server.address().port })
}

void main()
