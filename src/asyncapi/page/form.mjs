import { h } from './dom.mjs'
import { nameOf } from './model.mjs'
import { sample } from './sample.mjs'
import { constraintsOf } from './schema.mjs'

/** The fields of a handshake (server, path, query, subprotocol), and the resulting URL. */
export class Form {
  #channel
  #model
  #server
  #parameters
  #query
  #subprotocol
  #url = h('code.url', { 'aria-live': 'polite' })

  constructor (channel, model) {
    this.#channel = channel
    this.#model = model
    const { query = {}, headers = {} } = channel.bindings?.ws ?? {}
    this.#server = serverChoice(channel, model)
    this.#parameters = Object.entries(channel.parameters ?? {}).map(([name, parameter]) => [
      name,
      parameterField(name, parameter)
    ])
    this.#query = [
      ...Object.entries(query.properties ?? {}).map(([name, schema]) => [
        name,
        queryField(name, model.resolve(schema), (query.required ?? []).includes(name), model)
      ]),
      ...channel.security
        .map((scheme) => model.resolveSecurity(scheme))
        .filter(({ type, in: place }) => type === 'httpApiKey' && place === 'query')
        .map(({ name }) => [name, textField(name, { note: 'key' })])
    ]
    const protocols = headers.properties?.['sec-websocket-protocol']?.examples ?? []
    const required = (headers.required ?? []).includes('sec-websocket-protocol')
    this.#subprotocol =
      protocols.length > 0
        ? choiceField('subprotocol', protocols, required ? protocols[0] : '', !required)
        : undefined
    this.element = h('div.fields', {},
      this.#server?.element,
      this.#parameters.map(([, field]) => field.element),
      this.#query.map(([, field]) => field.element),
      this.#subprotocol?.element,
      unsettable(channel, model),
      this.#url)
    this.element.addEventListener('input', () => this.#show())
    this.#show()
  }

  /** The arguments of `new WebSocket`. */
  read () {
    const path = this.#path()
    const pairs = this.#query.flatMap(([name, field]) =>
      field.read().map((value) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    )
    const query = pairs.length > 0 ? `?${pairs.join('&')}` : ''
    const url = `${this.#server?.read()[0] ?? here()}${path}${query}`
    return { url, protocols: this.#subprotocol?.read() ?? [] }
  }

  setDisabled (disabled) {
    for (const control of this.element.querySelectorAll('input, select')) {
      control.disabled = disabled
    }
  }

  #path () {
    let path = this.#channel.address
    for (const [name, field] of this.#parameters) {
      const parameter = this.#channel.parameters[name]
      const [value = ''] = field.read()
      const encoded =
        parameter['x-wildcard'] === true
          ? value.split('/').map(encodeURIComponent).join('/')
          : encodeURIComponent(value)
      path =
        value === '' && parameter['x-optional'] === true
          ? path.replace(`/{${name}}`, '')
          : path.replace(`{${name}}`, () => encoded)
    }
    return path || '/'
  }

  #show () {
    this.#url.textContent = this.read().url
  }
}

/**
 * The URL of this server. A proxy may serve it below a path: the part of the page's path before its
 * prefix.
 */
function here () {
  const { prefix } = document.body.dataset
  const path = location.pathname.replace(/\/$/, '')
  const before = path.endsWith(prefix) ? path.slice(0, path.length - prefix.length) : ''
  return `${location.protocol.replace('http', 'ws')}//${location.host}${before}`
}

function serverChoice (channel, model) {
  const names = (channel.servers ?? []).map(nameOf)
  const servers = Object.entries(model.document.servers ?? {})
    .filter(
      ([name, { protocol, host }]) =>
        /^wss?$/.test(protocol) &&
        !host.includes('{') &&
        (names.length === 0 || names.includes(name))
    )
    .map(
      ([, { protocol, host, pathname = '' }]) =>
        `${protocol}://${host}${pathname.replace(/\/$/, '')}`
    )
  const choices = [...new Set([here(), ...servers])]
  return choices.length > 1 ? choiceField('server', choices, choices[0], false) : undefined
}

function parameterField (name, parameter) {
  const optional = parameter['x-optional'] === true
  const initial = parameter.default ?? parameter.examples?.[0] ?? ''
  const choices = parameter.enum
  if (choices !== undefined) {
    return choiceField(name, choices, initial || (optional ? '' : choices[0]), optional)
  }
  // A wildcard may be empty.
  return textField(name, {
    initial,
    required: !optional && parameter['x-wildcard'] !== true,
    note: constraintsOf(parameter['x-schema']) || (optional ? 'may be left out' : '')
  })
}

function queryField (name, schema, required, model) {
  const choices =
    schema.enum ??
    (schema.const === undefined
      ? schema.type === 'boolean'
        ? [true, false]
        : undefined
      : [schema.const])
  const example =
    schema.examples?.[0] ??
    (required && !('default' in schema) && schema.type !== 'string' ? sample(schema, model) : '')
  if (choices !== undefined) {
    return choiceField(name, choices.map(String), String(example), !required)
  }
  const isList = [schema.type].flat().includes('array')
  const note = [isList ? 'several by commas' : '', constraintsOf(schema)].filter(Boolean).join(', ')
  return textField(name, { initial: [example].flat().join(','), required, note, isList })
}

function textField (name, { initial = '', required = false, note = '', isList = false }) {
  const input = h('input', {
    name,
    value: initial,
    required,
    placeholder: note,
    autocomplete: 'off',
    autocapitalize: 'off',
    spellcheck: 'false'
  })
  return {
    element: label(name, required, input),
    read: () => input.value === '' ? [] : isList ? input.value.split(',') : [input.value]
  }
}

function choiceField (name, choices, initial, mayBeLeftOut) {
  const select = h(
    'select',
    { name },
    mayBeLeftOut && h('option', { value: '' }, '—'),
    choices.map((choice) => h('option', { value: choice, selected: choice === initial }, choice))
  )
  return {
    element: label(name, !mayBeLeftOut, select),
    read: () => (select.value === '' ? [] : [select.value])
  }
}

function label (name, required, control) {
  return h(
    'label',
    {},
    h('span', {}, h('code', {}, name), required && h('span.required', { title: 'required' }, '*')),
    control
  )
}

/** Names the headers that the page cannot set. A browser sends only cookies and the subprotocol. */
function unsettable (channel, model) {
  const { properties = {} } = channel.bindings?.ws?.headers ?? {}
  const names = [
    ...Object.keys(properties),
    ...channel.security
      .map((scheme) => model.resolveSecurity(scheme))
      .flatMap(({ type, in: place, name }) =>
        type === 'http'
          ? ['authorization']
          : type === 'httpApiKey' && place === 'header'
            ? [name]
            : []
      )
  ].filter((name) => name !== 'sec-websocket-protocol' && name !== 'cookie')
  return (
    names.length > 0 &&
    h('p.quiet', {}, `A page cannot send headers: ${[...new Set(names)].join(', ')}.`)
  )
}
