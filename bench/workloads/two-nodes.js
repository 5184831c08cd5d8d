'use strict'

const { startRedis } = require('../harness/redis')
const { measureTable } = require('../harness/table')
const { ACROSS_ROWS } = require('./rows')

const RECEIVERS = 10
const COUNT = 64

/** Messages that one node is ordered to send, over Redis, to connections of another node. */
module.exports = {
  name: 'two-nodes',
  groups: [],
  async * run (context) {
    const table = {
      name: 'two-nodes',
      title: `Across two nodes over Redis: ${COUNT} messages an order, to ${RECEIVERS} receivers`,
      unit: 'messages/s',
      better: 'higher'
    }
    const redis = await startRedis().catch((error) => ({
      reason: error.message,
      stop: async () => {}
    }))
    try {
      if (redis.reason !== undefined) {
        return yield {
          ...table,
          rows: [],
          leftOut: ACROSS_ROWS.map(({ name }) => ({ name, reason: redis.reason })),
          othersCpu: 0
        }
      }
      yield {
        ...table,
        ...(await measureTable({
          ...context,
          rows: ACROSS_ROWS.map((row) => ({
            ...row,
            options: { ...row.options, redisPort: redis.port }
          })),
          connections: RECEIVERS,
          sliceMs: context.mode.quietSliceMs,
          ask: ({ socketIo = false }) => ['across', { socketIo, count: COUNT }]
        }))
      }
    } finally {
      await redis.stop()
    }
  }
}
