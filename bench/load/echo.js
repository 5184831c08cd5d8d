'use strict'

const { cpuShare, readUsage } = require('../harness/control')
const { percentile } = require('../harness/statistics')

const MAX_LATENCIES = 1 << 20
/** One burst of so many is compared byte by byte; the others by length. */
const CHECKED_SHARE = 8
const SETTLE_TIMEOUT_MS = 10_000

/** One connection that sends a burst, waits for its answer, and so on. */
class EchoLane {
  #client
  #burst
  #run
  #received = 0
  #bursts = 0
  #sentAtMs = 0

  constructor (client, burst, run) {
    this.#client = client
    this.#burst = burst
    this.#run = run
    client.onBytes = (buffer, length) => this.#receive(buffer, length)
    client.onEnd = (reason) => run.fail(new Error(reason))
  }

  send () {
    this.#sentAtMs = performance.now()
    this.#client.write(this.#burst.request)
  }

  #receive (buffer, length) {
    const { answer } = this.#burst
    const end = this.#received + length
    const checked = this.#bursts % CHECKED_SHARE === 0
    if (end > answer.length || (checked && buffer.compare(answer, this.#received, end, 0, length) !== 0)) {
      return this.#run.fail(new Error('an answer is not what was sent'))
    }
    this.#received = end
    if (end < answer.length) return
    this.#received = 0
    this.#bursts++
    if (this.#run.answered(this.#sentAtMs)) this.send()
  }
}

/** What the lanes of one slice share. */
class EchoRun {
  #lanes
  #latencies = new Float64Array(MAX_LATENCIES)
  #bursts = 0
  #active
  #stopping = false
  #finish

  constructor (clients, burst) {
    this.#lanes = clients.map((client) => new EchoLane(client, burst, this))
    this.#active = clients.length
    this.finished = new Promise((resolve, reject) => { this.#finish = { resolve, reject } })
  }

  start () {
    for (const lane of this.#lanes) lane.send()
  }

  reset () {
    this.#bursts = 0
  }

  get bursts () {
    return this.#bursts
  }

  get latencies () {
    return this.#latencies.slice(0, Math.min(this.#bursts, MAX_LATENCIES)).sort()
  }

  /** Lets each lane wait for the answer it still has to get. */
  stop () {
    this.#stopping = true
  }

  /** Whether the lane is to go on. */
  answered (sentAtMs) {
    if (this.#stopping) {
      if (--this.#active === 0) this.#finish.resolve()
      return false
    }
    if (this.#bursts < MAX_LATENCIES) this.#latencies[this.#bursts] = performance.now() - sentAtMs
    this.#bursts++
    return true
  }

  fail (error) {
    this.#stopping = true
    this.#finish.reject(error)
  }
}

/** One slice: messages a second, and the latency of a burst in microseconds. */
async function measureEcho (clients, burst, { warmMs, measureMs }) {
  const run = new EchoRun(clients, burst)
  run.start()
  await waitUnlessOver(run.finished, warmMs)
  run.reset()
  const before = readUsage()
  await waitUnlessOver(run.finished, measureMs)
  const after = readUsage()
  const { bursts, latencies } = run
  run.stop()
  await withTimeout(run.finished, SETTLE_TIMEOUT_MS, 'the last answers did not come')
  return {
    value: bursts * burst.count / (after.atMs - before.atMs) * 1000,
    latencyMicroseconds: { p50: percentile(latencies, 0.5) * 1000, p99: percentile(latencies, 0.99) * 1000 },
    loadCpu: cpuShare(before, after)
  }
}

/** Waits, or throws what `finished` is rejected with. */
async function waitUnlessOver (finished, ms) {
  let timer
  await Promise.race([finished, new Promise((resolve) => { timer = setTimeout(resolve, ms) })])
  clearTimeout(timer)
}

async function withTimeout (promise, ms, text) {
  let timer
  await Promise.race([promise, new Promise((_resolve, reject) => { timer = setTimeout(reject, ms, new Error(text)) })])
  clearTimeout(timer)
}

module.exports = { measureEcho, waitUnlessOver, withTimeout }
