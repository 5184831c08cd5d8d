import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import * as errors from '../../src/errors.ts'
import { resolvePluginOptions, resolveRouteOptions } from '../../src/plugin/options.ts'
import { closeCodes } from '../../src/wire/close-codes.ts'
import { firstTable, readPage, ROOT, tableUnder } from './pages.ts'

const FOR_BOTH = tableUnder('For the plugin and for routes', readPage('docs/options.md'))
const FOR_THE_PLUGIN = tableUnder('For the plugin alone', readPage('docs/options.md'))

void t.test('docs/errors.md has each error code with its status, and no other', async (t) => {
  const documented = tableUnder('Error codes', readPage('docs/errors.md')).map(([code, status]) => [
    code?.replaceAll('`', ''),
    Number(status)
  ])
  const defined = Object.entries(errors).map(([name, Constructor]) => {
    const error = new Constructor()
    t.equal(error.code, name)
    return [name, error.statusCode]
  })
  t.equal(documented.length, defined.length)
  t.same(
    new Map(documented as Array<[string, number]>),
    new Map(defined as Array<[string, number]>)
  )
})

void t.test('docs/errors.md has each close code by its name, and no other', async (t) => {
  const documented = tableUnder('Close codes', readPage('docs/errors.md')).map(([name, code]) => [
    name?.replaceAll('`', ''),
    Number(code)
  ])
  t.same(documented, Object.entries(closeCodes))
})

void t.test('docs/options.md has each option with its default, and no other', async (t) => {
  const SIZES: Record<string, number> = { '1 MiB': 1024 * 1024, '64 KiB': 64 * 1024 }
  const documented = new Map<string, string>()
  for (const [names = '', defaults = ''] of [...FOR_BOTH, ...FOR_THE_PLUGIN]) {
    const values = defaults.split(/ \/ |, /)
    namesIn(names).forEach((name, i) =>
      documented.set(name, (values[i] ?? values[0] ?? '').replaceAll('`', ''))
    )
  }
  const resolved = resolvePluginOptions({})
  t.same([...documented.keys()].sort(), Object.keys(resolved).sort())
  for (const [name, value] of Object.entries(resolved)) {
    const words = documented.get(name) ?? ''
    if (name === 'drain') {
      const [, defaults = ''] = FOR_THE_PLUGIN.find(([names]) => names === '`drain`') ?? []
      const numbers = [...defaults.matchAll(/\d[\d ]*/g)].map(([digits]) =>
        Number(digits.replaceAll(' ', ''))
      )
      t.same(numbers, Object.values(value as object))
      continue
    }
    if (value === undefined) t.match(words, /^(JSON|unlimited|off|all)$/, name)
    else if (typeof value === 'number') {
      t.equal(SIZES[words] ?? Number(words.replace(/\s|\(.*/g, '')), value, name)
    } else {
      t.equal(
        words.replaceAll("'", ''),
        typeof value === 'string' ? value : JSON.stringify(value),
        name
      )
    }
  }
})

void t.test('docs/options.md lists the options of routes apart from others', async (t) => {
  const plugin = resolvePluginOptions({})
  const unknown = { code: 'FST_WEBSOCK_UNKNOWN_OPTION' }
  for (const name of FOR_BOTH.flatMap(([names = '']) => namesIn(names))) {
    const value = plugin[name as keyof typeof plugin]
    const given = value === undefined ? {} : { [name]: value }
    t.doesNotThrow(() => resolveRouteOptions(given, plugin, 'GET /'), name)
  }
  for (const name of FOR_THE_PLUGIN.flatMap(([names = '']) => namesIn(names))) {
    const given = { [name]: plugin[name as keyof typeof plugin] ?? 1 }
    t.throws(() => resolveRouteOptions(given, plugin, 'GET /'), unknown, name)
  }
})

void t.test('docs/performance.md has the figures of bench/README.md, row by row', async (t) => {
  const rows = firstTable(readPage('docs/performance.md'))
  const measured = tableUnder('The last table', readPage('bench/README.md'))
  t.ok(rows.length > 5)
  t.equal(rows.length, measured.length)
  for (const [i, [name = '', ...figures]] of rows.entries()) {
    t.same(figures, measured[i]?.slice(1, 1 + figures.length), name)
    t.ok(figures.length >= 2, name)
  }
})

void t.test('the table of promises names tests that exist', async (t) => {
  const rows = tableUnder('Promises and their tests', readPage('test/README.md'))
  t.ok(rows.length > 40)
  for (const [promise = '', file = ''] of rows) {
    for (const [, name = ''] of file.matchAll(/`([^`]+)`/g)) {
      t.ok(existsSync(join(ROOT, 'test', name)), `${promise}: ${name}`)
    }
    if (!promise.startsWith('**')) t.match(file, /`/, promise)
  }
})

function namesIn (cell: string): string[] {
  return [...cell.matchAll(/`(\w+)`/g)].map(([, name = '']) => name)
}

void t.test('SECURITY.md names only tests, options and defaults that exist', (t) => {
  const page = readPage('SECURITY.md')
  const own = readPage('test/docs/advisories.test.ts')
  const options = resolvePluginOptions({}) as unknown as Readonly<Record<string, unknown>>
  const named = [...page.matchAll(/`([a-z/-]+\.test\.ts)`/g)].map(([, name = '']) => name)
  for (const name of named) {
    t.ok(existsSync(join(ROOT, 'test', name)), `${name}, one of ${named.length}`)
  }
  // Words in camel case are options of the plugin, except these.
  const others = new Set([
    'trustProxy', 'maxHeadersCount', 'requestTimeout', 'disableRequestLogging', 'setErrorHandler',
    'onRequest', 'preValidation', 'preHandler', 'websocketHandler', 'websocketOptions',
    'handleInfo', 'handleGap', 'maxLength', 'maxItems'
  ])
  for (const [, word = ''] of page.matchAll(/`([a-z]+[A-Z][A-Za-z]*)`/g)) {
    t.ok(word in options || others.has(word), word)
  }
  const limits = new Map(
    [...page.matchAll(/^\| `([A-Za-z.]+)` \| ([^|]+?) \|/gm)].map(([, name = '', value = '']) => [
      name,
      value
    ])
  )
  for (const [name, value] of limits) {
    const found = name.split('.')
      .reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], options)
    t.equal(value, show(found), name)
  }
  for (const name of Object.keys(options)) {
    if (/^max|Ms$|Limit$|^compress$|^slowPeer$|Overflow$/.test(name)) {
      t.ok(limits.has(name), `${name} has a row`)
    }
  }
  const advisories = page.split('\n').filter((line) => /^\| (CVE|CWE|GHSA)-/.test(line))
  t.ok(advisories.length >= 12)
  for (const row of advisories) {
    t.match(row, /\.test\.ts` \|$/, row.slice(0, 40))
    if (row.includes('`docs/advisories.test.ts`')) {
      for (const [id] of (row.split('|')[1] ?? '').matchAll(/[A-Z]+-[\w-]+/g)) {
        t.ok(own.includes(id), `${id} is named in docs/advisories.test.ts`)
      }
    }
  }
  t.end()
})

function show (value: unknown): string {
  if (value === undefined || value === 0) return 'off'
  if (typeof value !== 'number') {
    return `\`${typeof value === 'string' ? `'${value}'` : String(value)}\``
  }
  return value === 1024 * 1024
    ? '1 MiB'
    : value === 64 * 1024 ? '64 KiB' : String(value).replace(/(?=(\d{3})+$)\B/g, ' ')
}
