'use strict'

const { cpuShare, readUsage } = require('../harness/control')
const { percentile } = require('../harness/statistics')

const MAX_LATENCIES = 1 << 20
const SETTLE_TIMEOUT_MS = 20_000

/**
 * What happens in one slice of time: turns that begin and end, until they are told not to begin any
 * more.
 */
class Slice {
  #turns = 0
  #counted = 0
  #latencies = new Float64Array(MAX_LATENCIES)
  #timed = 0
  #underWay = 0
  #stopping = false
  #settle
  #settled = new Promise((resolve, reject) => { this.#settle = { resolve, reject } })

  /** Gives when it began, for `end`; undefined when no turn is to begin. */
  begin () {
    if (this.#stopping) return undefined
    this.#underWay++
    return performance.now()
  }

  end (beganAtMs) {
    if (this.#timed < MAX_LATENCIES) this.#latencies[this.#timed++] = performance.now() - beganAtMs
    this.#turns++
    if (--this.#underWay === 0 && this.#stopping) this.#settle.resolve()
  }

  /** Something came that is no turn. */
  count () {
    this.#counted++
  }

  /** Ends the slice: `measure` rejects. */
  fail (error) {
    this.#stopping = true
    this.#settle.reject(error)
  }

  /**
   * Counts from behind `warmMs`, for `measureMs`, and waits for the turns that are under way then.
   */
  async measure ({ warmMs, measureMs }) {
    await this.#pass(warmMs)
    this.#turns = this.#counted = this.#timed = 0
    const before = readUsage()
    await this.#pass(measureMs)
    const after = readUsage()
    const [turns, counted, seconds] = [
      this.#turns,
      this.#counted,
      (after.atMs - before.atMs) / 1000
    ]
    this.#stopping = true
    if (this.#underWay > 0) await this.#settleInTime()
    return {
      turnsPerSecond: turns / seconds,
      countedPerSecond: counted / seconds,
      latencyMicroseconds: this.#summarizeLatencies(),
      loadCpu: cpuShare(before, after)
    }
  }

  #summarizeLatencies () {
    if (this.#timed === 0) return undefined
    const latencies = this.#latencies.slice(0, this.#timed).sort()
    const mean = latencies.reduce((sum, each) => sum + each, 0) / latencies.length
    return {
      mean: mean * 1000,
      p50: percentile(latencies, 0.5) * 1000,
      p99: percentile(latencies, 0.99) * 1000
    }
  }

  async #pass (ms) {
    let timer
    await Promise.race([
      this.#settled,
      new Promise((resolve) => {
        timer = setTimeout(resolve, ms)
      })
    ])
    clearTimeout(timer)
  }

  async #settleInTime () {
    const timer = setTimeout(
      () => this.fail(new Error('the last answers did not come')),
      SETTLE_TIMEOUT_MS
    )
    await this.#settled
    clearTimeout(timer)
  }
}

module.exports = { Slice }
