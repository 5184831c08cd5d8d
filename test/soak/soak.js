'use strict'

/*
 * `npm run soak -- --minutes N`: mixed traffic of 200 clients, with a line each minute and at the
 * end. The exit code is 1 when the counts of sent and received messages differ, when memory grows
 * beyond its bounds, or when the run does not end.
 */
const { fork } = require('node:child_process')
const { once } = require('node:events')
const { resolve } = require('node:path')
const { setTimeout: later } = require('node:timers/promises')
const { parseArgs } = require('node:util')
const { WebSocket } = require('ws')

const CLIENTS = 200
const MIB = 1024 * 1024
/**
 * The most growth since the warm-up, after a collection. The traffic is steady, so the heap must be
 * too. Code that is compiled late is about 1 MiB.
 */
const MOST_HEAP_GROWTH = 8 * MIB
/**
 * The allocator keeps freed pages for a while.
 */
const MOST_RSS_GROWTH = 96 * MIB
const KINDS = ['echo', 'echo', 'echo', 'slow', 'tell', 'later']

const totals = { sent: 0, received: 0, told: 0, opened: 0, closed: 0, cut: 0 }
const problems = []
const phase = { stopping: false }

/**
 * Runs one connection of 100 to 1 000 messages. Each window of messages is answered before the next
 * one is sent. Either side ends the connection.
 */
async function runConnection (port) {
  const socket = new WebSocket(
    `ws://127.0.0.1:${port}/${Math.random() < 0.2 ? 'deflate' : 'plain'}`
  )
  const waiting = new Map()
  let wake = () => {}
  socket.on('error', (error) => { problems.push(error.message); totals.cut++ })
  socket.on('message', (data) => {
    const message = JSON.parse(data.toString())
    totals.received++
    if (message.kind === 'told') totals.told++
    else if (waiting.get(message.n) !== (message.pad ?? '').length) {
      problems.push(`an unexpected answer: ${data.toString().slice(0, 80)}`)
    } else waiting.delete(message.n)
    if (waiting.size === 0) wake()
  })
  const closed = once(socket, 'close').then(([code]) => { totals.closed++; wake(); return code })
  await once(socket, 'open')
  totals.opened++
  const send = (kind, n, pad) => {
    waiting.set(n, (pad ?? '').length)
    totals.sent++
    socket.send(JSON.stringify({ kind, n, pad }))
  }
  const answered = async () => {
    while (waiting.size > 0 && socket.readyState === WebSocket.OPEN) {
      await new Promise((resolve) => {
        wake = resolve
      })
    }
  }
  const life = 100 + Math.floor(Math.random() * 900)
  for (let n = 0; n < life && !phase.stopping && socket.readyState === WebSocket.OPEN;) {
    for (let window = 1 + Math.floor(Math.random() * 8); window > 0; window--) {
      const pad = Math.random() < 0.3 ? 'x'.repeat(Math.random() < 0.05 ? 40_000 : 2000) : undefined
      send(KINDS[Math.floor(Math.random() * KINDS.length)], n++, pad)
    }
    if (Math.random() < 0.1) socket.ping()
    await answered()
    await later(Math.random() * 20)
  }
  if (Math.random() < 0.5) {
    send('stop', life + 10)
    await answered()
  } else {
    socket.close(1000)
  }
  const code = await closed
  if (code !== 1000) problems.push(`close code ${code}`)
  if (waiting.size > 0) problems.push(`${waiting.size} messages were never answered`)
}

async function runConnections (port) {
  while (!phase.stopping) await runConnection(port)
}

function startServer () {
  const child = fork(resolve(__dirname, 'server.js'), { execArgv: ['--expose-gc'] })
  const next = async (type) => {
    const signal = AbortSignal.timeout(30_000)
    for (;;) {
      const [message] = await once(child, 'message', { signal })
      if (message.type === type) return message.value
    }
  }
  return {
    child,
    next,
    ask (question) {
      const answer = next(question)
      child.send(question)
      return answer
    }
  }
}

function print (seconds, server) {
  const mib = (bytes) => `${(bytes / MIB).toFixed(1)} MiB`
  const ms = (value) => value.toFixed(1)
  const { p50, p99, max } = server.delay
  console.log([
    `${String(Math.round(seconds)).padStart(6)} s`,
    `RSS ${mib(server.rss)}`, `heap ${mib(server.heapUsed)}`, `external ${mib(server.external)}`,
    `event loop p50 ${ms(p50)} p99 ${ms(p99)} max ${ms(max)} ms`,
    `connections ${totals.opened} opened, ${totals.closed} closed`,
    `clients sent ${totals.sent}, server received ${server.received}`,
    `server sent ${server.sent}, clients received ${totals.received} (${totals.told} of them infos)`
  ].join(' | '))
}

/** Compares the counts and the memory when all connections have ended. */
function compare (start, end) {
  const same = (name, a, b) => a === b ? [] : [`${name}: ${a} and ${b}`]
  const bounded = (name, growth, most) =>
    growth <= most ? [] : [`${name} has grown by ${growth} bytes, more than ${most}`]
  return [
    ...same('clients sent, server received', totals.sent, end.received),
    ...same('server sent, clients received', end.sent, totals.received),
    ...same('connections opened by clients, seen by the server', totals.opened, end.opened),
    ...same('connections opened, terminated', end.opened, end.terminated),
    ...same('connections that are left', end.connections, 0),
    ...same('connections that failed', end.failed, 0),
    ...bounded('the heap', end.heapUsed - start.heapUsed, MOST_HEAP_GROWTH),
    ...bounded('memory outside of the heap', end.external - start.external, MOST_HEAP_GROWTH),
    ...bounded('RSS', end.rss - start.rss, MOST_RSS_GROWTH)
  ]
}

async function main () {
  const { values } = parseArgs({ options: { minutes: { type: 'string', default: '1' } } })
  const seconds = Number(values.minutes) * 60
  if (!(seconds > 0)) throw new Error('--minutes must be a number above 0')
  const server = startServer()
  const port = await server.next('ready')
  // A run that hangs is a failure too.
  const watchdog = setTimeout(
    () => {
      console.error('the run has not ended 60 s after its time')
      server.child.kill()
      process.exit(1)
    },
    (seconds + 60) * 1000
  )
  const from = performance.now()
  const elapsed = () => (performance.now() - from) / 1000
  const traffic = Promise.all(Array.from({ length: CLIENTS }, () => runConnections(port)))
  const run = async () => {
    const warmUp = Math.min(15, seconds / 4)
    await later(warmUp * 1000)
    const start = await server.ask('report')
    print(elapsed(), start)
    for (let minute = 1; elapsed() < seconds; minute++) {
      await later((Math.min(minute * 60, seconds) - elapsed()) * 1000)
      if (elapsed() < seconds) print(elapsed(), await server.ask('report'))
    }
    phase.stopping = true
    return start
  }
  const [start] = await Promise.all([run(), traffic])
  const exited = once(server.child, 'exit')
  const end = await server.ask('close')
  print(elapsed(), end)
  const [code] = await exited
  clearTimeout(watchdog)
  problems.push(...compare(start, end), ...code === 0 ? [] : [`the server exited with ${code}`])
  for (const wrong of problems.slice(0, 20)) console.error(`WRONG ${wrong}`)
  console.log(
    problems.length === 0
      ? 'OK: nothing was lost, memory is within its bounds'
      : `${problems.length} differences`
  )
  process.exitCode = problems.length === 0 ? 0 : 1
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
