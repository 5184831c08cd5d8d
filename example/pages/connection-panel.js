const closeCodeWords = {
  1000: 'normal closure',
  1001: 'going away',
  1005: 'no code given',
  1006: 'lost or refused, without a close frame',
  1008: 'against the policy of the server',
  1009: 'message too big',
  1011: 'server error',
  1012: 'server restarts',
  1013: 'try again later'
}

const stateWords = {
  connecting: 'connecting',
  open: 'connected',
  waiting: 'reconnecting',
  closed: 'disconnected'
}

/** Describes the end of a connection: its code, and its reason or else the meaning of the code. */
export function describeClose ({ code, reason }) {
  const words = reason || closeCodeWords[code]
  return words ? `${code} ${words}` : String(code)
}

/** Shows the state of a client in `#state`, and the time until its next attempt. */
export function createStateLine () {
  const line = document.querySelector('#state')
  const showCountdown = createCountdown(line.querySelector('.countdown'))
  return ({ status, until }) => {
    line.dataset.state = stateWords[status]
    line.querySelector('.word').textContent = stateWords[status]
    showCountdown(until)
  }
}

/**
 * Connects when the form is submitted, and switches the form with the state of the client.
 *
 * `open()` makes a client. `onOpen()` is called for each connection, `onEnd(end, wasOpen)` for each
 * that ended and, with `wasOpen` false, for each attempt that failed. `firstStop` gets the keyboard
 * focus once connected, if the user has waited where the connect began or where a drop took the
 * focus away. Returns a function that gives the client, if there is one.
 */
export function createConnectionPanel ({
  form,
  open,
  onOpen = () => {},
  onEnd,
  disconnectButton,
  actionButton,
  firstStop
}) {
  const connectButton = form.querySelector('[type=submit]')
  const lastClose = document.querySelector('#last-close')
  const showLine = createStateLine()
  let client
  let last = { status: 'closed' }
  let askedByUser = true
  let waitingAt = null

  form.addEventListener('submit', (event) => {
    event.preventDefault()
    client?.close()
    client = open()
    client.subscribe(show)
  })
  disconnectButton.addEventListener('click', () => client?.close(1000, 'disconnected by the user'))
  return () => client

  function show (state) {
    const idle = state.status === 'closed'
    const wasOpen = last.status === 'open'
    const focused = document.activeElement
    showLine(state)
    for (const field of form.querySelectorAll('input')) field.readOnly = !idle
    connectButton.disabled = !idle
    disconnectButton.disabled = idle
    actionButton.disabled = state.status !== 'open'

    // A button that is disabled while it has the focus drops it. It is not moved on
    // to Disconnect: a key still held down there would undo what it has just begun.
    if (idle && focused?.disabled) connectButton.focus()
    else if (focused?.disabled || (last.status === 'closed' && form.contains(focused))) {
      waitingAt = focused
    }
    if ('code' in state) {
      // The attempts that fail after a close all end with 1006: they must not cover
      // the code that says why the connection was lost.
      if (wasOpen || askedByUser) lastClose.textContent = describeClose(state)
      onEnd(state, wasOpen)
    }
    last = state
    if (idle) askedByUser = true
    if (state.status !== 'open') return
    askedByUser = false
    if (waitingAt && [waitingAt, document.body].includes(document.activeElement)) firstStop.focus()
    waitingAt = null
    onOpen()
  }
}

// The element is aria-hidden: a screen reader hears the state once, not each second.
function createCountdown (element) {
  let timer = 0
  return (until) => {
    clearInterval(timer)
    const show = () => {
      element.textContent = until
        ? ` in ${Math.max(1, Math.ceil((until - Date.now()) / 1000))} s`
        : ''
    }
    show()
    if (until) timer = setInterval(show, 250)
  }
}
