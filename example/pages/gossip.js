import { connect } from './client.js'
import { createStateLine } from './connection-panel.js'
import { createDemoGame } from './demo-game.js'
import { buildEndpointUrl } from './endpoint-url.js'
import { buildElement, buildTime, createEntryList } from './entry-list.js'

const showState = createStateLine()
const gameList = document.querySelector('#games')
const count = document.querySelector('#count')
const talk = createEntryList(document.querySelector('#talk'))
const timeFormat = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' })

// The online games, by short name.
const games = new Map()

const handlers = {
  online ({ games: changed }) {
    for (const game of changed) games.set(game.game, game)
    showGames()
  },
  offline ({ games: gone }) {
    for (const game of gone) games.delete(game)
    showGames()
  },
  talk ({ channel, game, name, message, at }) {
    const entry = buildElement('li', 'message')
    const words = buildElement('p', 'text', message)
    words.dir = 'auto'
    entry.append(
      buildName(name, game),
      buildElement('span', 'tag', channel),
      ' ',
      buildTime(at, timeFormat),
      words
    )
    talk.append(entry)
  }
}

document.querySelector('#socket-url').textContent = buildEndpointUrl('/socket')
const client = connect(buildEndpointUrl('/ws/gossip'))
for (const [event, handler] of Object.entries(handlers)) client.on(event, handler)
client.subscribe((state) => {
  showState(state)
  // The server sends the online games again.
  if (state.status !== 'open') games.clear()
  showGames()
})

// The demo games of the server, whose credentials are public. None when the server has other games.
const demoGames = await (await fetch('/gossip/demo-games')).json()
const speak = document.querySelector('#speak')
const outcome = document.querySelector('#outcome')
const clients = new Map()

speak.game.append(...demoGames.map(({ short_name: name }) => new Option(name)))
speak.hidden = demoGames.length === 0
speak.addEventListener('submit', async (event) => {
  event.preventDefault()
  const { game, player, channel, text } = speak
  const known = demoGames.find(({ short_name: name }) => name === game.value)
  if (!clients.has(known)) clients.set(known, createDemoGame(known))
  outcome.textContent = 'sending …'
  try {
    await clients.get(known).say(player.value.trim(), channel.value, text.value)
    outcome.textContent = ''
    text.value = ''
  } catch (error) {
    outcome.textContent = `not sent: ${error.message}`
  }
  text.focus()
})

function showGames () {
  const entries = [...games.values()]
    .sort((a, b) => a.display_name.localeCompare(b.display_name))
    .map(buildGame)
  gameList.replaceChildren(...entries)
  count.textContent = entries.length > 0 ? `(${entries.length})` : ''
}

function buildGame ({ game, display_name: name, user_agent: agent, channels, players }) {
  const entry = buildElement('li', 'game')
  entry.dataset.game = game
  const head = buildElement('p', 'head')
  head.append(buildElement('bdi', 'nick', name), ' ', buildElement('span', 'hint', agent))
  const here = buildElement('ul', 'here')
  here.setAttribute('aria-label', `Players of ${name}`)
  here.dataset.empty = 'No player is shown.'
  here.append(...players.map((player) => buildElement('li', '', player)))
  entry.append(head, here)
  if (channels.length > 0) {
    const tags = buildElement('p', 'tags')
    tags.append(...channels.map((channel) => buildElement('span', 'tag', channel)))
    entry.append(tags)
  }
  return entry
}

// <bdi>: a name written from right to left must not turn the line around it.
function buildName (name, game) {
  const element = buildElement('span', 'nick')
  element.append(buildElement('bdi', '', name || 'somebody'), '@', buildElement('bdi', '', game))
  return element
}
