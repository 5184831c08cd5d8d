'use strict'

const { measureResidents } = require('../harness/residents')
const { TOPICS, TOPICS_PER_CONNECTION } = require('../servers/topics')
const { SUBSCRIPTION_ROWS } = require('./rows')

/** What a subscription costs, when the connection is there already. */
module.exports = {
  name: 'subscriptions',
  groups: [],
  async * run ({ load, mode }) {
    const subscriptions = mode.residents * TOPICS_PER_CONNECTION
    const measure = async ({ server }) => {
      const before = await server.memory()
      await server.subscribe()
      const after = await server.memory()
      return {
        value: (after.heap - before.heap) / subscriptions,
        more: { rss: (after.rss - before.rss) / subscriptions }
      }
    }
    yield {
      name: 'subscriptions',
      title: `Memory of each subscription, ${mode.residents.toLocaleString('en')} connections to ` +
        `${TOPICS_PER_CONNECTION} of ${TOPICS.toLocaleString('en')} topics each`,
      unit: 'heap, bytes',
      better: 'lower',
      columns: [{ name: 'RSS, bytes', key: 'rss' }],
      ...(await measureResidents({
        load,
        rows: SUBSCRIPTION_ROWS,
        rounds: mode.freshRounds,
        connections: mode.residents,
        measure
      }))
    }
  }
}
