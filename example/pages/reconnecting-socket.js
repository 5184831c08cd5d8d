const firstWaitMs = 500
const longestWaitMs = 15_000
// A connection that lasted this long was a good one: the next wait is short again.
const heldMs = 5_000
// Browsers may wait minutes for a server that is gone without a word.
const attemptMs = 10_000

/**
 * A WebSocket that comes back by itself, until `disconnect` is called.
 *
 * Listeners: `onState({ state, waitMs })` with state `disconnected`, `connecting`,
 * `connected` or `reconnecting` (`waitMs` until the next attempt);
 * `onMessage(data)`; `onClose(event, wasOpen)`, where `wasOpen` is false for an attempt
 * that failed.
 */
export class ReconnectingSocket {
  #listeners
  #url = ''
  #socket = null
  #state = 'disconnected'
  #failures = 0
  #retryTimer = 0

  constructor (listeners) {
    this.#listeners = listeners
    window.addEventListener('online', () => {
      if (this.#state === 'reconnecting') this.#open()
    })
  }

  connect (url) {
    this.disconnect()
    this.#url = url
    this.#failures = 0
    this.#open()
  }

  disconnect () {
    clearTimeout(this.#retryTimer)
    this.#setState('disconnected')
    this.#socket?.close(1000, 'disconnected by the user')
  }

  /** Sends a text frame; returns false, and sends nothing, when not connected. */
  send (text) {
    if (this.#state !== 'connected') return false
    this.#socket.send(text)
    return true
  }

  #open () {
    clearTimeout(this.#retryTimer)
    this.#setState('connecting')
    const socket = new WebSocket(this.#url)
    const attemptTimer = setTimeout(() => socket.close(), attemptMs)
    let openedAt = Infinity
    this.#socket = socket
    // Each listener asks whether it is still the current socket: an old one may
    // close only after the user has connected again.
    const listen = (type, listener) => socket.addEventListener(type, (event) => {
      if (socket === this.#socket) listener(event)
    })
    listen('open', () => {
      clearTimeout(attemptTimer)
      openedAt = performance.now()
      this.#setState('connected')
    })
    listen('message', (event) => this.#listeners.onMessage(event.data))
    listen('close', (event) => {
      clearTimeout(attemptTimer)
      this.#socket = null
      if (performance.now() - openedAt >= heldMs) this.#failures = 0
      this.#listeners.onClose(event, openedAt !== Infinity)
      if (this.#state !== 'disconnected') this.#retryLater()
    })
  }

  #retryLater () {
    const waitMs = drawWaitMs(this.#failures)
    this.#failures += 1
    this.#retryTimer = setTimeout(() => this.#open(), waitMs)
    this.#setState('reconnecting', waitMs)
  }

  #setState (state, waitMs = 0) {
    if (state === this.#state) return
    this.#state = state
    this.#listeners.onState({ state, waitMs })
  }
}

// Full jitter: anywhere between nothing and the bound, so that a thousand pages
// do not all come back to a restarted server in the same moment.
function drawWaitMs (failures) {
  return Math.random() * Math.min(longestWaitMs, firstWaitMs * 2 ** failures)
}
