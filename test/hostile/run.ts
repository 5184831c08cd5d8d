import { parseArgs } from 'node:util'
import { attackChild, attackUrl, type Report } from './attack.ts'
import type { Case } from './case.ts'
import { buildPage, type Column } from './page.ts'
import type { ServerKind } from './server.ts'
import { GROUPS, type Result } from './suite.ts'

const HELP = `Usage: npm run test:hostile -- [URL] [options]

  URL                  ws://HOST:PORT/PATH of any echo server; without it one of our own is started
  --server KIND        start another instead: ours, ws, fastify-websocket
  --only TEXT          only cases with this in their name
  --json               the whole report as JSON
  --markdown           run against ours, ws and @fastify/websocket, and print the page of results`

const MAX_GROWTH = 64 * 1024 * 1024

async function main (): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      server: { type: 'string', default: 'ours' },
      only: { type: 'string', default: '' },
      json: { type: 'boolean' },
      markdown: { type: 'boolean' },
      help: { type: 'boolean' }
    }
  })
  if (values.help === true) return print(HELP)
  const cases = GROUPS.flatMap(([, rows]) => rows).filter(({ name }) => name.includes(values.only))
  if (values.markdown === true) return print(await writePage(cases))

  const url = positionals[0]
  // The known faults are those of this library.
  const known = url === undefined && values.server.startsWith('ours')
  const onResult =
    values.json === true ? () => {} : (result: Result, one: Case) => print(line(result, one, known))
  const report =
    url === undefined
      ? await attackChild(values.server as ServerKind, cases, onResult)
      : await attackUrl(url, cases, onResult)
  const failures = countFailures(report, cases, known)
  if (values.json === true) print(JSON.stringify(report, null, 1))
  else for (const one of summary(report, failures, known, cases)) print(one)
  process.exitCode = failures === 0 ? 0 : 1
}

function line (
  { name, received, ms, slowestEchoMs, wrong, skipped }: Result,
  { knownFault, why }: Case,
  known: boolean
): string {
  const fault = known ? knownFault : undefined
  const verdict = wrong.length === 0 ? 'ok' : 'not ok'
  const notes = [
    ...skipped ? ['skipped'] : [],
    ...wrong.length > 0 ? [`${wrong.join('; ')} (${why})`] : [],
    ...fault === undefined ? [] : [`known fault: ${fault}`]
  ]
  const echo = slowestEchoMs === undefined ? '' : `, bystander ${Math.round(slowestEchoMs)} ms`
  const comment = notes.length === 0 ? '' : ` # ${notes.join(' # ')}`
  return `${verdict} - ${name}: ${received} [${ms} ms${echo}]${comment}`
}

/** A known fault that does not occur is a failure too, so that its mark is removed. */
function isFailure (result: Result, one: Case, known: boolean): boolean {
  return (result.wrong.length > 0) !== (known && one.knownFault !== undefined)
}

function countFailures (
  { results, bystander, server }: Report,
  cases: readonly Case[],
  known: boolean
): number {
  const wrong = results.filter((result, i) => isFailure(result, cases[i] as Case, known)).length
  const harmed = bystander.closed !== undefined || bystander.echoed < bystander.sent
  const grown = server !== undefined && server.rss >= MAX_GROWTH
  return wrong + Number(harmed) + Number(grown) + Number(server !== undefined && server.sockets > 0)
}

function summary (
  { results, seconds, bystander, server }: Report,
  failures: number,
  known: boolean,
  cases: readonly Case[]
): string[] {
  const { sent, echoed, slowestMs, slowestOfAllMs, closed } = bystander
  const faults = known ? cases.filter(({ knownFault }) => knownFault !== undefined).length : 0
  const right = results.filter(({ wrong, skipped }) => wrong.length === 0 && !skipped).length
  return [
    `# bystander: ${echoed} of ${sent} echoes, the slowest in ${slowestMs.toFixed(1)} ms ` +
    `(${slowestOfAllMs.toFixed(1)} ms with the known ` +
    `faults)${closed === undefined ? '' : `, closed ${closed}`}`,
    ...(server === undefined
      ? []
      : [
          `# server: memory grew by ${mib(server.rss)} (RSS), ${mib(server.external)} ` +
          `(external), ${mib(server.heapUsed)} (heap) at most; ${server.sockets} sockets are left`
        ]),
    `# ${results.length} cases in ${seconds.toFixed(1)} s: ${right} right, ` +
    `${results.filter(({ skipped }) => skipped).length} skipped, ${faults} known faults, ` +
    `${failures} failures`
  ]
}

async function writePage (cases: readonly Case[]): Promise<string> {
  const columns: Column[] = []
  for (const [kind, title] of [
    ['ours', 'fastify-websock'],
    ['ws', 'bare ws'],
    ['fastify-websocket', '@fastify/websocket']
  ] as const) {
    columns.push({ title, report: await attackChild(kind, cases, () => {}) })
  }
  return buildPage(
    GROUPS.map(([title, rows]) => [title, rows.filter((one) => cases.includes(one))] as const),
    columns
  )
}

function mib (bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`
}

function print (text: string): void {
  process.stdout.write(`${text}\n`)
}

void main()
