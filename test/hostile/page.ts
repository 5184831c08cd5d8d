import type { Report } from './attack.ts'
import type { Case } from './case.ts'

/** One server's column. */
export interface Column {
  readonly title: string
  readonly report: Report
}

/**
 * docs/hostile.md: the result of each case, with a column for each server. The first column is this
 * library.
 */
export function buildPage (
  groups: ReadonlyArray<readonly [title: string, cases: readonly Case[]]>,
  columns: readonly Column[]
): string {
  const results = columns.map(
    ({ report }) => new Map(report.results.map((result) => [result.name, result]))
  )
  const row = ({ name, why, knownFault }: Case): string => {
    const cells = results.map((byName, i) => {
      const { received = '', wrong = [] } = byName.get(name) ?? {}
      const fault = i === 0 && knownFault !== undefined ? ` — **known fault**: ${knownFault}` : ''
      return cell(`${wrong.length > 0 ? '✗ ' : ''}${received}${fault}`)
    })
    return `| ${[cell(name), ...cells, cell(why)].join(' | ')} |`
  }
  const tables = groups.flatMap(([title, cases]) => [
    '',
    `## ${title}`,
    '',
    `| what is sent | ${columns.map(({ title }) => title).join(' | ')} | why |`,
    `| --- | ${columns.map(() => '---').join(' | ')} | --- |`,
    ...cases.map(row)
  ])
  return [...intro(columns), ...tables].join('\n')
}

function intro (columns: readonly Column[]): string[] {
  const titles = columns.map(({ title }) => title).join(' | ')
  const figures: ReadonlyArray<readonly [string, (report: Report) => string]> = [
    [
      'cases with the expected result',
      ({ results }) =>
        `${results.filter(({ wrong }) => wrong.length === 0).length} of ${results.length}`
    ],
    [
      'echoes that a well-behaved bystander got',
      ({ bystander }) => `${bystander.echoed} of ${bystander.sent}`
    ],
    ['its slowest echo', ({ bystander }) => `${bystander.slowestMs.toFixed(0)} ms`],
    ['largest growth of memory: RSS', ({ server }) => mib(server?.rss)],
    ['… outside of the heap', ({ server }) => mib(server?.external)],
    ['sockets left 7 s after the last case', ({ server }) => String(server?.sockets)]
  ]
  return [
    '# Hostile peers',
    '',
    'What each server answers to invalid and abusive input.',
    '`npm run --silent test:hostile -- --markdown > docs/hostile.md` creates this page.',
    '`npm run test:hostile` runs the cases against this library, `npm run test:hostile -- ' +
    'ws://HOST:PORT/PATH` against any echo server.',
    '',
    `Each server echoes each message, on Node.js ${process.versions.node}, in a process of its ` +
    'own and with its defaults.',
    'A `✗` marks a result that this library does not allow, which may be right for a server ' +
    'that promises something else.',
    'Some cases set time limits such as `closeTimeoutMs` to half a second, which the other two ' +
    'servers do not have.',
    '"TCP stays open" means for longer than this library waits.',
    '',
    'The memory is read each 50 ms, after a collection where it is over 32 MiB.',
    'The servers run with `--max-semi-space-size=2` and `MALLOC_ARENA_MAX=1`, so that RSS shows ' +
    'what is kept and not what is yet to be collected; without that this library reached 83 MiB.',
    'Cases with a known fault are run last, and count neither for the memory nor for the slowest ' +
    'echo.',
    '',
    `| | ${titles} |`,
    `| --- | ${columns.map(() => '---').join(' | ')} |`,
    ...figures.map(
      ([name, figure]) =>
        `| ${[name, ...columns.map(({ report }) => figure(report))].join(' | ')} |`
    )
  ]
}

function mib (bytes: number | undefined): string {
  return bytes === undefined ? '?' : `${Math.round(bytes / 1024 / 1024)} MiB`
}

function cell (text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;')
}
