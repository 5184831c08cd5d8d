import { connect } from './client.js'
import { buildEndpointUrl } from './endpoint-url.js'

/** A client of the game network: it authenticates, answers heartbeats, and sends its players. */
export function createDemoGame ({ client_id: id, client_secret: secret }) {
  const players = new Set()
  const client = connect(buildEndpointUrl('/socket'))
  let authentication = createGate()

  client.subscribe(({ status }) => {
    if (status === 'open') {
      const credentials = { client_id: id, client_secret: secret }
      const payload = { ...credentials, supports: ['channels', 'players'], user_agent: 'a page' }
      client.send({ event: 'authenticate', payload })
    } else if (authentication.isOpen) {
      authentication = createGate()
    }
  })
  client.on('authenticate', (answer) => authentication.open(answer))
  client.on('heartbeat', () => {
    client.send({ event: 'heartbeat', payload: { players: [...players] } })
  })

  return {
    /** Resolves when the server has confirmed. Rejects with its error. */
    async say (name, channel, message) {
      check(await authentication.passed)
      const isNew = !players.has(name)
      // Added first, because an answer to a heartbeat meanwhile contains all players.
      players.add(name)
      if (isNew) await ask('players/sign-in', { name })
      await ask('channels/subscribe', { channel })
      await ask('channels/send', { channel, name, message })
    }
  }

  async function ask (event, payload) {
    check(await client.request({ event, payload }))
  }
}

function check ({ status, error }) {
  if (status !== 'success') throw new Error(error)
}

function createGate () {
  const gate = { isOpen: false }
  gate.passed = new Promise((resolve) => {
    gate.open = (answer) => {
      gate.isOpen = true
      resolve(answer)
    }
  })
  return gate
}
