import { check } from './check.mjs'
import { h } from './dom.mjs'
import { Form } from './form.mjs'
import { Log } from './log.mjs'
import { sample } from './sample.mjs'

const CLOSE_CODES = {
  1000: 'normal',
  1001: 'going away',
  1002: 'protocol error',
  1003: 'unsupported data',
  1005: 'no code',
  1006: 'connection lost',
  1007: 'invalid payload',
  1008: 'policy violation',
  1009: 'message too big',
  1011: 'internal error',
  1012: 'service restart',
  1013: 'try again later'
}

/** Connects to a channel, sends messages from the editor, and shows received messages. */
export class Console {
  #channel
  #model
  #socket
  #log = new Log()
  #form
  #state = h('output.state', { 'data-state': 'closed' }, 'not connected')
  #connect = h('button.primary', { type: 'submit' }, 'Connect')
  #picker
  #editor = h('textarea', {
    'aria-label': 'Message',
    rows: '9',
    spellcheck: 'false',
    autocomplete: 'off',
    autocapitalize: 'off'
  })

  #verdict = h('p.verdict', { 'aria-live': 'polite' })
  #send = h('button.primary', { type: 'button', disabled: true, title: 'Ctrl + Enter' }, 'Send')
  #filled = 0

  constructor (channel, model) {
    this.#channel = channel
    this.#model = model
    this.#form = new Form(channel, model)
    this.#picker = h(
      'select',
      { 'aria-label': 'Message to send' },
      channel.receive.map(({ key, name, title }) =>
        h('option', { value: key }, title ? `${name} — ${title}` : name)
      )
    )
    this.element = h(
      'section.console',
      { 'aria-label': 'Console' },
      h('h2', {}, 'Console', this.#state),
      h(
        'form',
        {
          submit: (event) => {
            event.preventDefault()
            this.#toggle()
          }
        },
        this.#form.element,
        this.#connect
      ),
      channel.receive.length > 0 && this.#composer(),
      this.#log.element
    )
    this.#fill()
  }

  /** Puts a message into the editor. */
  choose (key) {
    this.#picker.value = key
    this.#filled = 0
    this.#fill()
    this.#editor.focus()
  }

  #composer () {
    this.#picker.addEventListener('change', () => { this.#filled = 0; this.#fill() })
    this.#editor.addEventListener('input', () => this.#verify())
    this.#editor.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return
      event.preventDefault()
      this.#transmit()
    })
    this.#send.addEventListener('click', () => this.#transmit())
    const again = h('button', { type: 'button', click: () => this.#fill() }, 'Fill in again')
    return h(
      'div.composer',
      {},
      h('div.actions', {}, this.#picker, again),
      this.#editor,
      this.#verdict,
      this.#send
    )
  }

  // ── the connection

  #toggle () {
    if (this.#socket !== undefined) this.#socket.close(1000)
    else this.#open()
  }

  #open () {
    const { url, protocols } = this.#form.read()
    let socket
    try {
      socket = new WebSocket(url, protocols)
    } catch (error) {
      this.#note('cannot connect', error.message)
      return
    }
    socket.binaryType = 'arraybuffer'
    this.#socket = socket
    this.#setState('connecting')
    let opened = false
    socket.addEventListener('open', () => {
      opened = true
      this.#setState('connected')
      this.#note(
        'connected',
        socket.protocol === '' ? url : `${url}\nsubprotocol ${socket.protocol}`
      )
    })
    socket.addEventListener('message', ({ data }) => this.#receive(data))
    socket.addEventListener('close', ({ code, reason }) => {
      this.#socket = undefined
      this.#setState('closed')
      if (opened) {
        this.#note(
          `closed ${code} ${CLOSE_CODES[code] ?? ''}`.trim(),
          reason === '' ? undefined : reason
        )
      } else {
        this.#note(
          'not connected',
          'The server refused the upgrade, or cannot be reached. Browsers do not say why: look ' +
          'at the parameters, the query and the security of the channel.'
        )
      }
    })
  }

  #setState (state) {
    this.#state.dataset.state = state
    this.#state.textContent = state === 'closed' ? 'not connected' : state
    this.#connect.textContent = {
      closed: 'Connect',
      connecting: 'Cancel',
      connected: 'Disconnect'
    }[state]
    this.#send.disabled = state !== 'connected'
    this.#form.setDisabled(state !== 'closed')
  }

  #note (name, body) {
    this.#log.add('note', undefined, () => ({ name, body }))
  }

  #receive (data) {
    const bytes = typeof data === 'string' ? new TextEncoder().encode(data).length : data.byteLength
    this.#log.add('down', bytes, () => {
      if (typeof data !== 'string') return { name: 'binary', body: toHex(data) }
      const message = parse(data)
      if (message === undefined) return { name: 'text', body: data }
      const known = this.#channel.send.filter(isJson)
      const found = known.find(
        ({ payload }) => check(payload, message.value, this.#model).length === 0
      )
      return {
        name: found?.name ?? 'text',
        body: JSON.stringify(message.value, null, 2),
        warning: known.length > 0 && found === undefined && 'matches no message of the document'
      }
    })
  }

  // ── sending

  get #message () {
    return this.#channel.receive.find(({ key }) => key === this.#picker.value)
  }

  /** Fills the editor with the next example, or with a sample of the schema. */
  #fill () {
    const message = this.#message
    if (message === undefined) return
    const made = isJson(message)
      ? [{ payload: sample(message.payload, this.#model) }]
      : [{ payload: '' }]
    const choices = message.examples ?? made
    const { payload } = choices[this.#filled++ % choices.length]
    this.#editor.value = isJson(message) ? JSON.stringify(payload, null, 2) : String(payload)
    this.#editor.placeholder = isBinary(message) ? 'bytes as hexadecimal digits: 00 ff' : ''
    this.#verify()
  }

  #verify () {
    const problem = this.#problem()
    this.#verdict.textContent = problem ?? 'matches the schema'
    this.#verdict.dataset.valid = String(problem === undefined)
    this.#editor.setAttribute('aria-invalid', String(problem !== undefined))
    this.#send.textContent = problem === undefined ? 'Send' : 'Send anyway'
  }

  #problem () {
    const message = this.#message
    const text = this.#editor.value
    if (isBinary(message)) {
      return fromHex(text) === undefined ? 'is not an even number of hexadecimal digits' : undefined
    }
    if (!isJson(message)) return check(message.payload, text, this.#model)[0]
    const parsed = parse(text)
    if (parsed === undefined) return 'is not JSON'
    const problems = check(message.payload, parsed.value, this.#model)
    return problems.length === 0 ? undefined : problems.slice(0, 3).join('; ')
  }

  #transmit () {
    const message = this.#message
    if (this.#socket?.readyState !== WebSocket.OPEN) return
    const text = this.#editor.value
    const bytes = isBinary(message) ? fromHex(text) : undefined
    this.#socket.send(bytes ?? text)
    const parsed = bytes === undefined && isJson(message) ? parse(text) : undefined
    const body =
      bytes === undefined
        ? parsed === undefined
          ? text
          : JSON.stringify(parsed.value, null, 2)
        : toHex(bytes.buffer)
    this.#log.add('up', bytes?.length ?? new TextEncoder().encode(text).length, () => ({
      name: message.name,
      body
    }))
  }
}

function isJson ({ contentType, 'x-opcode': opcode }) {
  return opcode !== 'binary' && /json/.test(contentType)
}

function isBinary (message) {
  return message['x-opcode'] === 'binary'
}

function parse (text) {
  try {
    return { value: JSON.parse(text) }
  } catch {
    return undefined
  }
}

function toHex (buffer) {
  const bytes = new Uint8Array(buffer)
  const digits = Array.from(bytes.subarray(0, 4096), (byte) =>
    byte.toString(16).padStart(2, '0')
  ).join(' ')
  return bytes.length > 4096 ? `${digits} … (${bytes.length} bytes)` : digits
}

function fromHex (text) {
  const digits = text.replace(/\s+/g, '')
  if (!/^(?:[0-9a-f]{2})*$/i.test(digits)) return undefined
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16))
}
