import { connect } from './client.js'
import { createConnectionPanel, describeClose } from './connection-panel.js'
import { buildEndpointUrl, fillFromQuery } from './endpoint-url.js'
import { buildElement, buildTime, createEntryList } from './entry-list.js'

const form = document.querySelector('#connection')
const sayForm = document.querySelector('#say')
const textField = document.querySelector('#text')
const hereList = document.querySelector('#here')
const messages = createEntryList(document.querySelector('#messages'))
const timeFormat = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' })

// The names in the room. A set, because `here` and `joined` may both contain the same name.
const here = new Set()
let me = ''

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
    // Another client with our name has left, and we are still here.
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

const getClient = createConnectionPanel({
  form,
  disconnectButton: document.querySelector('#leave'),
  actionButton: document.querySelector('#send'),
  firstStop: textField,
  open () {
    const room = document.querySelector('#room').value.trim()
    me = document.querySelector('#nick').value.trim()
    messages.clear()
    localStorage.setItem('nick', me)
    const client = connect(buildEndpointUrl(`/ws/chat/${encodeURIComponent(room)}`, { nick: me }))
    for (const [event, handler] of Object.entries(handlers)) client.on(event, handler)
    return client
  },
  onEnd (end, wasOpen) {
    if (wasOpen) note(Date.now(), '', `connection closed: ${describeClose(end)}`)
    here.clear()
    showHere()
  }
})

document.querySelector('#nick').value = localStorage.getItem('nick') ?? ''
fillFromQuery(form)
sayForm.addEventListener('submit', (event) => {
  event.preventDefault()
  const text = textField.value
  // A message that could not be sent stays in the field. A sent one is shown when it comes back as
  // `said`.
  const client = getClient()
  if (text.trim() !== '' && client && client.send({ event: 'say', text }) !== 'refused') {
    textField.value = ''
  }
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
