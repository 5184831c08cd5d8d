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

/** Words for a close event: its code, and its reason or else what the code stands for. */
export function describeClose ({ code, reason }) {
  const words = reason || closeCodeWords[code]
  return words ? `${code} ${words}` : String(code)
}

/**
 * Shows a connection in `#state` and `#last-close`, and switches the form with it.
 *
 * `connectButton` works only while disconnected, `disconnectButton` only while not,
 * `actionButton` only while connected. `firstStop` gets the keyboard focus once connected,
 * if the user has waited where the connect began or where a drop took the focus away.
 */
export function createConnectionPanel ({ form, connectButton, disconnectButton, actionButton, firstStop }) {
  const stateLine = document.querySelector('#state')
  const lastClose = document.querySelector('#last-close')
  const showCountdown = createCountdown(stateLine.querySelector('.countdown'))
  let askedByUser = true
  let waitingAt = null

  return {
    showState ({ state, waitMs }) {
      const idle = state === 'disconnected'
      const wasIdle = stateLine.dataset.state === 'disconnected'
      const focused = document.activeElement
      stateLine.dataset.state = state
      stateLine.querySelector('.word').textContent = state
      showCountdown(state === 'reconnecting' ? waitMs : 0)
      for (const field of form.querySelectorAll('input')) field.readOnly = !idle
      connectButton.disabled = !idle
      disconnectButton.disabled = idle
      actionButton.disabled = state !== 'connected'

      // A button that is disabled while it has the focus drops it. It is not moved on
      // to Disconnect: a key still held down there would undo what it has just begun.
      if (idle && focused?.disabled) connectButton.focus()
      else if (focused?.disabled || (wasIdle && form.contains(focused))) waitingAt = focused
      if (idle) askedByUser = true
      if (state !== 'connected') return
      askedByUser = false
      if (waitingAt && [waitingAt, document.body].includes(document.activeElement)) firstStop.focus()
      waitingAt = null
    },
    // The attempts that fail after a close all end with 1006: they must not cover
    // the code that says why the connection was lost.
    showClose (event, wasOpen) {
      if (wasOpen || askedByUser) lastClose.textContent = describeClose(event)
    }
  }
}

// The element is aria-hidden: a screen reader hears the state once, not each second.
function createCountdown (element) {
  let timer = 0
  return (waitMs) => {
    clearInterval(timer)
    const endsAt = performance.now() + waitMs
    const show = () => {
      const seconds = Math.max(1, Math.ceil((endsAt - performance.now()) / 1000))
      element.textContent = waitMs > 0 ? ` in ${seconds} s` : ''
    }
    show()
    if (waitMs > 0) timer = setInterval(show, 250)
  }
}
