'use strict'

const { execFile, spawn } = require('node:child_process')
const { promisify } = require('node:util')
const { commandExists } = require('./command-exists')

const READY_TIMEOUT_MS = 20_000
const ANSWER_TIMEOUT_MS = 120_000

const running = new Set()

/** A process of its own that answers questions. */
class Child {
  #process
  #stderr = ''
  #questions = new Map()
  #nextId = 1
  #ended

  constructor (command, parameters) {
    this.#process = spawn(command, parameters, {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      cwd: __dirname
    })
    this.#process.stderr.setEncoding('utf8').on('data', (text) => {
      this.#stderr = (this.#stderr + text).slice(-2000)
    })
    this.#process.on('message', (message) => this.#receive(message))
    this.#ended = new Promise((resolve) => {
      this.#process.on('error', (error) => this.#end(resolve, error.message))
      this.#process.on('close', (code, signal) =>
        this.#end(resolve, `it ended with ${signal ?? code}: ${lastLineOf(this.#stderr)}`)
      )
    })
    running.add(this)
  }

  /**
   * What the child says of itself when it has started. Rejects when it cannot start, or takes too
   * long.
   */
  ready () {
    return this.#wait('ready', READY_TIMEOUT_MS, 'it did not start in time')
  }

  /**
   * Keeps all threads of it on one core, and those it starts later. Does nothing where there is no
   * `taskset`.
   */
  async pin (core) {
    if (commandExists('taskset')) {
      await promisify(execFile)('taskset', [
        '-a',
        '-c',
        '-p',
        String(core),
        String(this.#process.pid)
      ])
    }
  }

  /** Rejects with the child's own error, when it ends, and when no answer comes. */
  ask (command, argument) {
    const id = this.#nextId++
    const answer = this.#wait(id, ANSWER_TIMEOUT_MS, `no answer to ${command}`)
    this.#process.send({ id, command, argument }, (error) => {
      if (error !== null) this.#receive({ id, error: error.message })
    })
    return answer
  }

  async stop () {
    this.#process.kill('SIGKILL')
    await this.#ended
  }

  #wait (id, timeoutMs, late) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#receive({ id, error: late }), timeoutMs)
      this.#questions.set(id, { resolve, reject, timer })
    })
  }

  #receive ({ id, answer, error }) {
    const question = this.#questions.get(id)
    if (question === undefined) return
    this.#questions.delete(id)
    clearTimeout(question.timer)
    if (error === undefined) question.resolve(answer)
    else question.reject(new Error(error))
  }

  #end (resolve, reason) {
    running.delete(this)
    for (const id of [...this.#questions.keys()]) this.#receive({ id, error: reason })
    resolve()
  }
}

async function stopAllChildren () {
  await Promise.all([...running].map((child) => child.stop()))
}

function lastLineOf (text) {
  const lines = text.split('\n').map((line) => line.trim()).filter((line) => line !== '')
  // Node prints the error in the middle, Bun somewhere else: the line with the word is what says
  // something.
  return lines.find((line) => /error/i.test(line)) ?? lines.at(-1) ?? 'without a word'
}

module.exports = { Child, stopAllChildren }
