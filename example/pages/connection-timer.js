import { connect } from './client.js'
import { createConnectionPanel, describeClose } from './connection-panel.js'
import { buildEndpointUrl, fillFromQuery } from './endpoint-url.js'
import { buildElement, buildTime, createEntryList } from './entry-list.js'

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

// This endpoint speaks plain text.
const codec = { opcode: 'text', encode: (text) => text, decode: (text) => text }

const getClient = createConnectionPanel({
  form,
  disconnectButton: document.querySelector('#disconnect'),
  actionButton: requestButton,
  firstStop: requestButton,
  open () {
    write('note', `connecting to ${buildUrl()}`)
    return connect(buildUrl(), { codec, onMessage: (text) => write('down', text) })
  },
  onOpen: () => write('note', 'connected'),
  onEnd: (end, wasOpen) =>
    write('note', `${wasOpen ? 'closed' : 'attempt failed'}: ${describeClose(end)}`)
})

fillFromQuery(form)
showUrl()
form.addEventListener('input', showUrl)
if (form.checkValidity()) form.requestSubmit()
requestButton.addEventListener('click', () => {
  if (getClient().send('request_timer') !== 'refused') write('up', 'request_timer')
})

function buildUrl () {
  const name = nameField.value.trim()
  const path =
    name === '' ? '/ws/connection_timer' : `/ws/connection_timer/${encodeURIComponent(name)}`
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
