'use strict'

/*
 * What telemetry costs, in this process: `node bench/channels.js`, behind `npm run build`.
 *
 * First each part alone, with nobody listening and with one listener that does nothing: ns and
 * bytes of heap for a call. Then text echoes over TCP to a server in this process, 64 to a write,
 * with nobody listening and with a listener on every channel, in turns: µs for a message.
 */

const { subscribe, unsubscribe } = require('node:diagnostics_channel')
const { once } = require('node:events')
const net = require('node:net')
const { setFlagsFromString } = require('node:v8')
const { runInNewContext } = require('node:vm')
const Fastify = require('fastify')
const websock = require('..')
const { callbackChannel, channels, traceCallback } = require('../dist/telemetry/channels.js')
const { CallbackMeter } = require('../dist/telemetry/callback-meter.js')
const { RouteTelemetry } = require('../dist/telemetry/route-telemetry.js')
const { WatchLists } = require('../dist/telemetry/watch-lists.js')

const CALLS = 2_000_000
const ROUNDS = 5
const BURST = 64
const BURSTS = 2_000

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc')
const ignore = () => {}
const names = Object.values(channels).map(({ name }) => name)
const tracing = { start: ignore, end: ignore, asyncStart: ignore, asyncEnd: ignore, error: ignore }

function listen () {
  for (const name of names) subscribe(name, ignore)
  callbackChannel.subscribe(tracing)
}

function listenNoMore () {
  for (const name of names) unsubscribe(name, ignore)
  callbackChannel.unsubscribe(tracing)
}

const route = new RouteTelemetry('/', new WatchLists())
const meter = new CallbackMeter()
const connection = { id: 'node.1', server: {} }
let calls = 0
const call = () => calls++

const PARTS = {
  'a callback, as it is called': () => {
    const startedAt = meter.started()
    if (callbackChannel.hasSubscribers) {
      traceCallback({
        id: connection.id,
        route: '/',
        server: connection.server,
        callback: 'handleIn'
      }, call)
    } else call()
    meter.ended(startedAt)
  },
  'a callback, the channel alone': () => {
    if (callbackChannel.hasSubscribers) {
      traceCallback({
        id: connection.id,
        route: '/',
        server: connection.server,
        callback: 'handleIn'
      }, call)
    } else call()
  },
  'a refused message': () => route.messageRefused('mismatch', connection),
  'a failed callback': () => route.callbackFailed('handleIn', undefined, connection)
}

/** The best of some rounds. */
function measure (part) {
  let ns = Infinity
  let bytes = Infinity
  for (let round = 0; round < ROUNDS; round++) {
    gc()
    const heap = process.memoryUsage().heapUsed
    const from = process.hrtime.bigint()
    for (let i = 0; i < CALLS; i++) part()
    ns = Math.min(ns, Number(process.hrtime.bigint() - from) / CALLS)
    bytes = Math.min(bytes, Math.max(0, process.memoryUsage().heapUsed - heap) / CALLS)
  }
  return `${ns.toFixed(1)} ns, ${bytes.toFixed(2)} bytes`
}

/** A masked text frame of 16 bytes; the mask is 0. */
const FRAME = Buffer.concat([Buffer.from([0x81, 0x90, 0, 0, 0, 0]), Buffer.alloc(16, 'x')])
const ECHO_BYTES = 18

async function openEcho () {
  const app = Fastify()
  await app.register(websock)
  app.get('/', { websocketHandler: { handleIn: ({ data }, _state, ws) => ws.push(data) } })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const socket = net.connect(app.server.address().port, '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
    'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n')
  await once(socket, 'data')
  return { app, socket }
}

/** µs for a message. */
async function echo (socket) {
  const burst = Buffer.concat(Array(BURST).fill(FRAME))
  let left = BURSTS
  let missing = 0
  const from = process.hrtime.bigint()
  await new Promise((resolve) => {
    const send = () => {
      missing = BURST * ECHO_BYTES
      socket.write(burst)
    }
    socket.on('data', function read (chunk) {
      missing -= chunk.length
      if (missing > 0) return
      if (--left > 0) return send()
      socket.off('data', read)
      resolve()
    })
    send()
  })
  return Number(process.hrtime.bigint() - from) / 1000 / (BURST * BURSTS)
}

async function main () {
  for (const [name, part] of Object.entries(PARTS)) {
    const alone = measure(part)
    listen()
    const heard = measure(part)
    listenNoMore()
    console.log(`${name}: ${alone} with nobody listening, ${heard} with a listener`)
  }
  const { app, socket } = await openEcho()
  const alone = []
  const heard = []
  await echo(socket)
  for (let round = 0; round < 11; round++) {
    alone.push(await echo(socket))
    listen()
    heard.push(await echo(socket))
    listenNoMore()
  }
  const median = (values) => values.sort((one, other) => one - other)[values.length >> 1].toFixed(2)
  console.log(`an echo: ${median(alone)} µs with nobody listening, ` +
    `${median(heard)} µs with a listener`)
  socket.destroy()
  await app.close()
}

main()
