import { createConnectionPanel, describeClose } from './connection-panel.js'
import { buildEndpointUrl, fillFromQuery } from './endpoint-url.js'
import { buildElement, buildTime, createEntryList } from './entry-list.js'
import { ReconnectingSocket } from './reconnecting-socket.js'

const form = document.querySelector('#connection')
const nameField = document.querySelector('#name')
const everyField = document.querySelector('#every')
const urlLine = document.querySelector('#url')
const requestButton = document.querySelector('#request')
const log = createEntryList(document.querySelector('#log'))

// Milliseconds, because the alerts may be 50 ms apart.
const timeFormat = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3, hourCycle: 'h23'
})

const directionWords = { up: '↑ sent', down: '↓ received', note: '· note' }

const panel = createConnectionPanel({
  form,
  connectButton: document.querySelector('#connect'),
  disconnectButton: document.querySelector('#disconnect'),
  actionButton: requestButton,
  firstStop: requestButton
})

const socket = new ReconnectingSocket({
  onState (change) {
    panel.showState(change)
    if (change.state === 'connected') write('note', 'connected')
  },
  onMessage (data) {
    write('down', typeof data === 'string' ? data : `binary, ${data.size} bytes`)
  },
  onClose (event, wasOpen) {
    panel.showClose(event, wasOpen)
    write('note', `${wasOpen ? 'closed' : 'attempt failed'}: ${describeClose(event)}`)
  }
})

fillFromQuery(form)
showUrl()
form.addEventListener('input', showUrl)
form.addEventListener('submit', (event) => {
  event.preventDefault()
  socket.connect(buildUrl())
})
document.querySelector('#disconnect').addEventListener('click', () => socket.disconnect())
requestButton.addEventListener('click', () => {
  if (socket.send('request_timer')) write('up', 'request_timer')
})

function buildUrl () {
  const name = nameField.value.trim()
  const path = name === '' ? '/ws/connection_timer' : `/ws/connection_timer/${encodeURIComponent(name)}`
  return buildEndpointUrl(path, { everyMs: everyField.valueAsNumber })
}

function showUrl () {
  urlLine.textContent = form.checkValidity() ? buildUrl() : '–'
}

function write (direction, text) {
  const entry = buildElement('li', 'entry')
  entry.dataset.direction = direction
  const words = buildElement('span', 'text', text)
  words.dir = 'auto'
  entry.append(
    buildTime(Date.now(), timeFormat),
    buildElement('span', 'direction', directionWords[direction]),
    words
  )
  log.append(entry)
}
