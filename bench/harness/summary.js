'use strict'

const { alignColumns, formatFigure, formatRatio, formatShare } = require('./tables')

const AJV_BY_HAND = '@fastify/websocket + ajv, by hand'
const BY_HAND = '@fastify/websocket'

/** The table of issue 4: which figure of which row stands in it, and what it is to be. */
const GOALS = [
  {
    workload: 'typed JSON, ping-pong',
    table: 'json, ping-pong',
    byHand: AJV_BY_HAND,
    toReach: '0.95',
    beyond: '1.1'
  },
  {
    workload: 'typed JSON, pipelined',
    table: 'json, pipelined',
    byHand: AJV_BY_HAND,
    toReach: '1.9',
    beyond: '3.0'
  },
  {
    workload: 'text echo, pipelined',
    table: 'text, pipelined',
    byHand: BY_HAND,
    toReach: '3',
    beyond: '8'
  },
  { workload: '16 KiB binary', table: 'binary', byHand: BY_HAND, toReach: '1.1', beyond: '2' },
  {
    workload: 'upgrade + echo + close, against @fastify/websocket',
    table: 'set-up',
    byHand: BY_HAND,
    toReach: '1.0',
    beyond: '1.3'
  },
  {
    workload: 'memory per idle connection',
    table: 'idle-memory',
    byHand: BY_HAND,
    toReach: '5.2 kB',
    beyond: '4.5 kB',
    unit: 'kB'
  },
  {
    workload: 'fan-out to 1 000, against a loop of `ws.send`',
    table: 'fan-out, 1000 × 1',
    byHand: BY_HAND,
    toReach: '1.4',
    beyond: '2'
  },
  {
    workload: 'the same, eight messages a tick',
    table: 'fan-out, 1000 × 8',
    byHand: BY_HAND,
    toReach: '9',
    beyond: '10'
  },
  {
    workload: 'p99 of a quiet connection beside a flooding one',
    table: 'quiet-beside-flood',
    byHand: BY_HAND,
    toReach: '1.0',
    beyond: '0.5'
  }
]

const HEAD = ['workload', 'by hand (@fastify/websocket + ajv)', 'ours', 'to reach', 'beyond']

/** The lines of the summary, of what was measured. */
function buildSummary (tables) {
  return GOALS.flatMap(({ workload, table: name, byHand, toReach, beyond, unit }) => {
    const table = tables.find((each) => each.name === name)
    if (table === undefined) return []
    const figureOf = (rowName) => {
      const row = table.rows.find((each) => each.name === rowName)
      if (row === undefined) return '–'
      return unit === undefined
        ? formatRatio(row.ratio.median)
        : `${formatFigure(row.value)} ${unit}`
    }
    return [{ workload, byHand: figureOf(byHand), ours: figureOf('ours'), toReach, beyond }]
  })
}

/** A table for people and for Markdown. */
function formatSummary (lines) {
  const [head, ...rest] = alignColumns([
    HEAD,
    ...lines.map(({ workload, byHand, ours, toReach, beyond }) => [
      workload,
      byHand,
      ours,
      toReach,
      beyond
    ])
  ])
  const row = (cells) => `| ${cells.join(' | ')} |`
  return [row(head), row(head.map((cell) => '-'.repeat(cell.length))), ...rest.map(row)].join('\n')
}

/**
 * How far the figures can be trusted: where the rows came out that are measured against themselves,
 * and who else was busy.
 */
function formatNoise (tables) {
  const ratios = tables
    .flatMap(({ rows }) => rows.filter(({ noise }) => noise))
    .map(({ ratio }) => ratio)
  const range = (values) =>
    `${formatRatio(Math.min(...values))}–${formatRatio(Math.max(...values))}`
  const against = 'Servers measured against themselves: ' +
    `${range(ratios.map(({ median }) => median))}, single rounds ` +
    `${range(ratios.flatMap(({ min, max }) => [min, max]))}.`
  return `${against} Other processes meanwhile: up to ` +
    `${formatShare(Math.max(...tables.map(({ othersCpu }) => othersCpu)))} of a core.`
}

module.exports = { buildSummary, formatNoise, formatSummary }
