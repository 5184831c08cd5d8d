'use strict'

const NOTEWORTHY_SHARE = 0.1
const MAX_REASON_LENGTH = 120

/** The text of one workload's table. */
function formatTable (table) {
  const { title, better, unit, rows, leftOut } = table
  const columns = [
    ['', (row) => row.name],
    ['ratio', (row) => formatRatio(row.ratio.median)],
    ['spread', (row) => `${formatRatio(row.ratio.min)}–${formatRatio(row.ratio.max)}`],
    [unit, (row) => formatFigure(row.value)],
    [
      'p50 / p99 µs',
      (row) =>
        row.latencyMicroseconds &&
        `${formatFigure(row.latencyMicroseconds.p50)} / ` +
        `${formatFigure(row.latencyMicroseconds.p99)}`
    ],
    ...(table.columns ?? []).map(({ name, key }) => [name, (row) => formatFigure(row.more[key])]),
    ['server CPU', (row) => formatShare(row.serverCpu)],
    ['load CPU', (row) => formatShare(row.loadCpu)],
    ['', formatNote]
  ].filter(([, read], index) => index === 0 || rows.some((row) => read(row)))
  const lines = [
    columns.map(([head]) => head),
    ...rows.map((row) => columns.map(([, read]) => read(row) ?? ''))
  ]
  return [
    `${title} (ratios to ${rows[0]?.name ?? 'nothing'}: ${better} is better)`,
    ...alignColumns(lines).map((cells) => `  ${cells.join('  ')}`.trimEnd()),
    ...(table.othersCpu >= NOTEWORTHY_SHARE
      ? [`  meanwhile other processes took ${formatShare(table.othersCpu)} of a core`]
      : []),
    ...leftOut.map(({ name, reason }) => `  left out: ${name}: ${shorten(reason)}`)
  ].join('\n')
}

function formatNote ({ note, noise, loadWasLimit }) {
  return [
    note,
    noise ? 'the noise' : undefined,
    loadWasLimit ? 'the load generator was the limit: at least this' : undefined
  ]
    .filter(Boolean)
    .join('; ')
}

/** An error of ours may name all that would have been right. */
function shorten (reason) {
  return reason.length > MAX_REASON_LENGTH ? `${reason.slice(0, MAX_REASON_LENGTH)}…` : reason
}

function formatRatio (ratio) {
  return ratio.toFixed(2)
}

function formatShare (share) {
  return share === undefined ? undefined : `${Math.round(share * 100)} %`
}

/** Three digits that say something. */
function formatFigure (value) {
  if (value === undefined) return undefined
  return Number(value.toPrecision(value >= 1000 ? 4 : 3)).toLocaleString('en')
}

/**
 * Cells of one width in each column: the first one and those without a head to the left, figures to
 * the right.
 */
function alignColumns (lines) {
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)))
  const isText = (column) => column === 0 || lines[0][column] === ''
  return lines.map((line) =>
    line.map((cell, column) =>
      isText(column) ? cell.padEnd(widths[column]) : cell.padStart(widths[column])
    )
  )
}

module.exports = { alignColumns, formatFigure, formatRatio, formatShare, formatTable }
