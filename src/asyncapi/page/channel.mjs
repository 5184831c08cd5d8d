import { Console } from './console.mjs'
import { h, hashOf, inline, prose } from './dom.mjs'
import { sample } from './sample.mjs'
import { constraintsOf, showSchema, typeText } from './schema.mjs'

/** Shows the description of a channel, and its console. */
export function channelView (channel, model) {
  const terminal = new Console(channel, model)
  const view = h(
    'article.channel',
    { 'data-tab': 'about' },
    h(
      'div.tabs',
      { role: 'group', 'aria-label': 'What is shown' },
      tab('about', 'Description'),
      tab('console', 'Console')
    ),
    h(
      'div.about-channel',
      {},
      h('h1', {}, h('code', {}, channel.address)),
      channel.title && h('p.lead', {}, channel.title),
      channel.tags &&
        h(
          'p',
          {},
          channel.tags.map(({ name, description }) => h('span.tag', { title: description }, name))
        ),
      prose(channel.description),
      handshake(channel, model),
      messages('The client sends', 'receive', channel, model, (message) => {
        view.dataset.tab = 'console'
        terminal.choose(message.key)
      }),
      messages('The server sends', 'send', channel, model)
    ),
    terminal.element
  )
  function tab (name, text) {
    return h(
      'button',
      {
        type: 'button',
        'data-for': name,
        click: () => {
          view.dataset.tab = name
        }
      },
      text
    )
  }
  return view
}

function handshake (channel, model) {
  const { ws = {} } = channel.bindings ?? {}
  const parameters = Object.entries(channel.parameters ?? {}).map(([name, parameter]) => ({
    name,
    schema: parameter['x-schema'] ?? { type: 'string' },
    required: parameter['x-optional'] !== true,
    description: parameter.description ?? parameter['x-schema']?.description
  }))
  const security = channel.security.map((scheme) => model.resolveSecurity(scheme))
  return [
    table('Path', parameters),
    table('Query', entriesOf(ws.query)),
    table('Headers', entriesOf(ws.headers)),
    security.length > 0 &&
      h(
        'section',
        {},
        h('h2', {}, 'Security'),
        channel.note && prose(channel.note),
        h(
          'ul.plain',
          {},
          security.map(({ name, type, description, scopes, ...more }) =>
            h(
              'li',
              {},
              h('strong', {}, name ?? type),
              ` ${[type, more.in, more.scheme].filter(Boolean).join(', ')}`,
              scopes && ` (${scopes.join(', ')})`,
              description && h('span.about', {}, ...inline(description))
            )
          )
        )
      )
  ]
}

function entriesOf (schema) {
  const { properties = {}, required = [] } = schema ?? {}
  return Object.entries(properties).map(([name, property]) => ({
    name,
    schema: property,
    required: required.includes(name),
    description: property.description
  }))
}

function table (title, rows) {
  if (rows.length === 0) return undefined
  return h(
    'section',
    {},
    h('h2', {}, title),
    h(
      'ul.schema',
      {},
      rows.map(({ name, schema, required, description }) =>
        h(
          'li',
          {},
          h(
            'div.row',
            {},
            h('code.key', {}, name),
            required && h('span.required', {}, 'required'),
            h('span.type', {}, typeText(schema)),
            h('span.quiet', {}, constraintsOf(schema)),
            description && h('span.about', {}, ...inline(description))
          )
        )
      )
    )
  )
}

function messages (title, side, channel, model, tryIt) {
  const list = channel[side]
  return h(
    'section',
    {},
    h('h2', {}, title),
    list.length === 0
      ? h(
        'p.quiet',
        {},
        side === 'receive' ? 'Nothing: the server takes no messages here.' : 'Nothing.'
      )
      : list.map((message) => messageView(message, side, channel, model, tryIt))
  )
}

function messageView (message, side, channel, model, tryIt) {
  const isJson = /json/.test(message.contentType)
  const details = h(
    'details.message',
    { 'data-key': message.key, 'data-action': side, toggle: fill },
    h(
      'summary',
      {},
      h('code', {}, message.name),
      h('span.quiet', {}, message.title ?? message.summary ?? firstLine(message.description)),
      message.deprecated === true && h('span.warning', {}, 'deprecated')
    )
  )
  /** Filled when it is first opened, because a large document has hundreds of messages. */
  function fill () {
    if (!details.open || details.childElementCount > 1) return
    const examples =
      message.examples ?? (isJson ? [{ payload: sample(message.payload, model) }] : [])
    details.append(
      h(
        'div.actions',
        {},
        h('a', { href: hashOf('channels', channel.id, message.key) }, 'Link'),
        tryIt && h('button', { type: 'button', click: () => tryIt(message) }, 'Try it')
      ),
      ...prose(message.description),
      h('p.quiet', {}, message.contentType, message['x-opcode'] === 'binary' && ', binary frames'),
      showSchema(message.payload, model),
      ...examples.map(({ name, summary, payload }) =>
        h(
          'figure',
          {},
          h(
            'figcaption',
            {},
            summary ?? name ?? (message.examples ? 'Example' : 'Made from the schema')
          ),
          h(
            'pre',
            {},
            typeof payload === 'string' && !isJson ? payload : JSON.stringify(payload, null, 2)
          )
        )
      )
    )
  }
  return details
}

function firstLine (text = '') {
  return text.split('\n')[0]
}
