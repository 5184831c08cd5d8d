'use strict'

const { openClient } = require('./client')

const OPENING_AT_ONCE = 256

/**
 * Opens `count` clients of one server, some at once, and before them one that orders where another
 * node takes orders.
 */
async function openClients (target, count) {
  const isOrderedElsewhere = target.orderPort !== target.port
  const clients = isOrderedElsewhere
    ? [await openClient({ ...target, port: target.orderPort })]
    : []
  let started = 0
  const open = async () => {
    while (started < count) clients.push(await openClient(target, started++))
  }
  try {
    await Promise.all(Array.from({ length: Math.min(OPENING_AT_ONCE, count) }, open))
  } catch (error) {
    closeClients(clients)
    throw error
  }
  return clients
}

function closeClients (clients) {
  for (const client of clients) client.destroy()
}

module.exports = { closeClients, openClients }
