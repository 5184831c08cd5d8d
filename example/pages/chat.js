import { createConnectionPanel, describeClose } from './connection-panel.js'
import { buildEndpointUrl, fillFromQuery } from './endpoint-url.js'
import { buildElement, buildTime, createEntryList } from './entry-list.js'
import { ReconnectingSocket } from './reconnecting-socket.js'

const form = document.querySelector('#connection')
const sayForm = document.querySelector('#say')
const textField = document.querySelector('#text')
const hereList = document.querySelector('#here')
const messages = createEntryList(document.querySelector('#messages'))
const timeFormat = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' })

// Those here by name. A set, because `here` and `joined` may both tell of the same person.
const here = new Set()
let me = ''

const panel = createConnectionPanel({
  form,
  connectButton: document.querySelector('#join'),
  disconnectButton: document.querySelector('#leave'),
  actionButton: document.querySelector('#send'),
  firstStop: textField
})

const handlers = {
  said ({ from, text, at }) {
    const entry = buildElement('li', 'message')
    entry.dataset.own = String(from === me)
    const words = buildElement('p', 'text', text)
    words.dir = 'auto'
    entry.append(buildNick(from), buildTime(at, timeFormat), words)
    messages.append(entry)
  },
  joined ({ nick, at }) {
    here.add(nick)
    showHere()
    note(at, nick, 'joined')
  },
  left ({ nick, at }) {
    // Someone else under our name has left; we are still here.
    if (nick !== me) here.delete(nick)
    showHere()
    note(at, nick, 'left')
  },
  here ({ nicks }) {
    here.clear()
    for (const nick of nicks) here.add(nick)
    showHere()
  }
}

const socket = new ReconnectingSocket({
  onState: panel.showState,
  onMessage (data) {
    const message = JSON.parse(data)
    if (Object.hasOwn(handlers, message.event)) handlers[message.event](message)
  },
  onClose (event, wasOpen) {
    panel.showClose(event, wasOpen)
    if (wasOpen) note(Date.now(), '', `connection closed: ${describeClose(event)}`)
    here.clear()
    showHere()
  }
})

fillFromQuery(form)
form.addEventListener('submit', (event) => {
  event.preventDefault()
  const room = document.querySelector('#room').value.trim()
  me = document.querySelector('#nick').value.trim()
  messages.clear()
  socket.connect(buildEndpointUrl(`/ws/chat/${encodeURIComponent(room)}`, { nick: me }))
})
document.querySelector('#leave').addEventListener('click', () => socket.disconnect())
sayForm.addEventListener('submit', (event) => {
  event.preventDefault()
  const text = textField.value
  // What could not be sent stays in the field; it is shown when it comes back as `said`.
  if (text.trim() !== '' && socket.send(JSON.stringify({ event: 'say', text }))) textField.value = ''
  textField.focus()
})

function note (at, nick, words) {
  const entry = buildElement('li', 'note')
  if (nick !== '') entry.append(buildNick(nick), ' ')
  entry.append(`${words} `, buildTime(at, timeFormat))
  messages.append(entry)
}

// <bdi>: a name written from right to left must not turn the line around it.
function buildNick (nick) {
  const element = buildElement('span', 'nick')
  element.append(buildElement('bdi', '', nick))
  if (nick === me) element.append(' (you)')
  return element
}

function showHere () {
  const entries = [...here].sort((a, b) => a.localeCompare(b)).map((nick) => {
    const entry = buildElement('li', '')
    entry.append(buildNick(nick))
    return entry
  })
  hereList.replaceChildren(...entries)
}
