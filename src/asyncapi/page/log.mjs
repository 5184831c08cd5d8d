import { h } from './dom.mjs'

const MAX_ENTRIES = 300
const MAX_TEXT = 20_000

const ARROWS = { up: '↑', down: '↓', note: '•' }

/**
 * The messages and events of a connection, newest last. Keeps the last 300 entries, and 20 000
 * characters of each.
 */
export class Log {
  #list = h('ol.log', { 'aria-label': 'What was sent and received', tabindex: '0' })
  #count = h('span.quiet', { 'aria-live': 'polite' }, 'Nothing yet')
  #waiting = []
  #counts = { up: 0, down: 0, note: 0 }

  constructor () {
    this.element = h(
      'section.traffic',
      {},
      h(
        'div.actions',
        {},
        this.#count,
        h('button', { type: 'button', click: () => this.clear() }, 'Clear')
      ),
      this.#list
    )
  }

  /** `describe` returns the name and the body. It is called only when the entry is shown. */
  add (direction, bytes, describe) {
    this.#counts[direction]++
    this.#waiting.push({ direction, bytes, describe, at: new Date() })
    if (this.#waiting.length === 1) requestAnimationFrame(() => this.#show())
    if (this.#waiting.length > MAX_ENTRIES) this.#waiting.splice(1, 1)
  }

  clear () {
    this.#waiting = []
    this.#counts = { up: 0, down: 0, note: 0 }
    this.#list.replaceChildren()
    this.#count.textContent = 'Nothing yet'
  }

  /** Shows new entries. Runs at most once for each animation frame. */
  #show () {
    const list = this.#list
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40
    list.append(...this.#waiting.map(show))
    this.#waiting = []
    while (list.childElementCount > MAX_ENTRIES) list.firstElementChild.remove()
    if (atEnd) list.scrollTop = list.scrollHeight
    this.#count.textContent = `${this.#counts.up} sent, ${this.#counts.down} received`
  }
}

function show ({ direction, bytes, describe, at }) {
  const { name, body, warning } = describe()
  const shown =
    body === undefined || body.length <= MAX_TEXT
      ? body
      : `${body.slice(0, MAX_TEXT)}… (${body.length} characters)`
  return h(
    'li',
    { 'data-direction': direction },
    h(
      'div.head',
      {},
      h('time', { datetime: at.toISOString() }, timeOf(at)),
      h(
        'span.arrow',
        { title: { up: 'sent', down: 'received', note: 'connection' }[direction] },
        ARROWS[direction]
      ),
      h('strong', {}, name),
      bytes !== undefined && h('span.quiet', {}, `${bytes} B`)
    ),
    warning && h('p.warning', {}, warning),
    shown !== undefined && h('pre', {}, shown)
  )
}

function timeOf (date) {
  const two = (number) => String(number).padStart(2, '0')
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')
  return `${time}.${String(date.getMilliseconds()).padStart(3, '0')}`
}
