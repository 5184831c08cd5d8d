import { channelView } from './channel.mjs'
import { h, hashOf, link, outside, prose } from './dom.mjs'
import { Model } from './model.mjs'
import { showSchema } from './schema.mjs'

const find = (id) => document.getElementById(id)

/** Loads the document and shows the channel or schema in the hash. */
async function start () {
  const response = await fetch(new URL('json', import.meta.url))
  if (!response.ok) throw new Error(`The document could not be loaded: ${response.status}`)
  const model = new Model(await response.json())
  const { title, version } = model.document.info
  document.title = title
  find('title').textContent = title
  find('version').textContent = version
  const views = new Map()
  const show = (isFirst) => {
    showHash(model, views)
    mark()
    closeMenu()
    if (!isFirst) find('main').focus({ preventScroll: true })
  }
  listenToSearch(model)
  listenToKeys()
  addEventListener('hashchange', () => show(false))
  show(true)
}

function showHash (model, views) {
  const [kind, name, message] = location.hash.replace(/^#\/?/, '').split('/').map(decodePart)
  const main = find('main')
  const channel = kind === 'channels' ? model.channels.find(({ id }) => id === name) : undefined
  if (channel !== undefined) {
    // Views are kept, so that a connection stays open while another view is shown.
    if (!views.has(name)) views.set(name, channelView(channel, model))
    main.replaceChildren(views.get(name))
    const target =
      message === undefined
        ? undefined
        : [...main.querySelectorAll('.message')].find(({ dataset }) => dataset.key === message)
    if (target !== undefined) {
      target.open = true
      views.get(name).dataset.tab = 'about'
      target.scrollIntoView({ block: 'start' })
    } else scrollTo(0, 0)
    return
  }
  const schema = kind === 'schemas' ? model.schemas.find(([id]) => id === name) : undefined
  main.replaceChildren(schema === undefined ? overview(model) : schemaView(schema, model))
  scrollTo(0, 0)
}

function overview (model) {
  const { info, servers = {} } = model.document
  return h(
    'article',
    {},
    h('h1', {}, info.title),
    prose(info.description),
    h(
      'p.quiet',
      {},
      [
        info.contact && outside(info.contact.name ?? info.contact.email, info.contact.url),
        info.license && outside(info.license.name, info.license.url),
        info.termsOfService && outside('Terms of service', info.termsOfService),
        info.externalDocs && outside(info.externalDocs.description, info.externalDocs.url)
      ]
        .filter(Boolean)
        .flatMap((part, i) => (i > 0 ? [' · ', part] : [part]))
    ),
    h('h2', {}, 'Channels'),
    model.channels.length === 0 && h('p.quiet', {}, 'No websocket route is described.'),
    h(
      'div.cards',
      {},
      model.channels.map((channel) =>
        h(
          'a.card',
          { href: hashOf('channels', channel.id) },
          h('code', {}, channel.address),
          channel.title && h('strong', {}, channel.title),
          h(
            'span.quiet',
            {},
            `${channel.receive.length} from the client, ${channel.send.length} from the server`
          )
        )
      )
    ),
    Object.keys(servers).length > 0 && [
      h('h2', {}, 'Servers'),
      Object.entries(servers).map(
        ([name, { host, protocol, pathname = '', title, summary, description }]) =>
          h(
            'section',
            {},
            h('h3', {}, title ?? name),
            h('p', {}, h('code', {}, `${protocol}://${host}${pathname}`)),
            prose(summary),
            prose(description)
          )
      )
    ],
    model.schemas.length > 0 && [
      h('h2', {}, 'Schemas'),
      h(
        'ul.plain',
        {},
        model.schemas.map(([name]) => h('li', {}, link(name, 'schemas', name)))
      )
    ]
  )
}

function schemaView ([name, schema], model) {
  return h(
    'article',
    {},
    h('p.quiet', {}, 'Schema'),
    h('h1', {}, name),
    showSchema(schema, model),
    h('h2', {}, 'As JSON'),
    h('pre', {}, JSON.stringify(schema, null, 2))
  )
}

// ── the menu

function listenToSearch (model) {
  const search = find('search')
  const entries = [
    ...model.channels.map((channel) => ({
      text: [
        channel.address,
        channel.title,
        channel.description,
        ...(channel.tags ?? []).map(({ name }) => name)
      ].join(' '),
      element: h(
        'div.group',
        {},
        h('a.address', { href: hashOf('channels', channel.id) }, channel.address)
      ),
      children: [...channel.receive, ...channel.send].map((message) => ({
        text: [
          message.name,
          message.title,
          message.description,
          ...fieldNames(message.payload, model)
        ].join(' '),
        element: h(
          'a.entry',
          {
            href: hashOf('channels', channel.id, message.key),
            'data-action': message.action,
            title: message.action === 'receive' ? 'from the client' : 'from the server'
          },
          message.name
        )
      }))
    })),
    ...(model.schemas.length === 0
      ? []
      : [
          {
            text: '',
            element: h('div.group', {}, h('span.address', {}, 'Schemas')),
            children: model.schemas.map(([name, schema]) => ({
              text: [name, ...fieldNames(schema, model)].join(' '),
              element: h('a.entry', { href: hashOf('schemas', name) }, name)
            }))
          }
        ])
  ]
  const update = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean)
    const has = ({ text }) => words.every((word) => text.toLowerCase().includes(word))
    find('results').replaceChildren(...entries.flatMap(({ text, element, children }) => {
      const whole = words.length > 0 && has({ text })
      const found = whole ? children : children.filter(has)
      if (!whole && found.length === 0 && words.length > 0) return []
      return [element, h('ul', {}, found.map((child) => h('li', {}, child.element)))]
    }))
    if (find('results').childElementCount === 0) {
      find('results').append(h('p.quiet', {}, 'Nothing found.'))
    }
    mark()
  }
  search.addEventListener('input', update)
  update()
}

function fieldNames (schema, model) {
  const { properties = {} } = model.resolve(schema)
  return Object.keys(properties)
}

/** Marks the link to the current view. */
function mark () {
  for (const anchor of find('nav').querySelectorAll('a')) {
    const current = anchor.getAttribute('href') === location.hash
    if (current) anchor.setAttribute('aria-current', 'page')
    else anchor.removeAttribute('aria-current')
  }
}

function listenToKeys () {
  const links = () => [...find('results').querySelectorAll('a')]
  addEventListener('keydown', (event) => {
    const typing =
      event.target instanceof Element && event.target.matches('input, textarea, select')
    if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey) {
      event.preventDefault()
      openMenu()
    } else if (event.key === 'Escape') {
      closeMenu()
    }
  })
  find('nav').addEventListener('keydown', (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step !== undefined) {
      event.preventDefault()
      const at = links().indexOf(document.activeElement) + step
      if (at < 0) find('search').focus()
      else links()[at]?.focus()
    } else if (event.key === 'Enter' && event.target === find('search')) links()[0]?.click()
  })
  find('menu').addEventListener('click', () => {
    if (document.body.classList.contains('menu')) closeMenu()
    else openMenu()
  })
}

function openMenu () {
  document.body.classList.add('menu')
  find('menu').setAttribute('aria-expanded', 'true')
  find('search').focus()
}

function closeMenu () {
  document.body.classList.remove('menu')
  find('menu').setAttribute('aria-expanded', 'false')
}

function decodePart (part) {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

start().catch((error) =>
  find('main').replaceChildren(h('p.warning', { role: 'alert' }, error.message))
)
