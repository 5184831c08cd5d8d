import fc from 'fast-check'
import t from 'tap'
import { parse } from 'yaml'
import { toYaml } from '../../src/asyncapi/yaml.ts'

const seed = Number(process.env['FUZZ_SEED'] ?? Date.now())
const numRuns = Number(process.env['FUZZ_RUNS'] ?? 1000)

const ODD = [
  '',
  ' ',
  'a ',
  ' a',
  'null',
  'True',
  'no',
  '~',
  '1',
  '1e3',
  '0x1',
  '.5',
  '-',
  '- a',
  '? a',
  'a: b',
  'a #b',
  '#a',
  '&a',
  '*a',
  '!a',
  '|',
  '>',
  '%',
  '@a',
  '`a`',
  '"',
  "'",
  '{a}',
  '[a]',
  'a\nb',
  'a\n',
  '\na',
  'a\n\n  b\n c',
  'a\r\nb',
  'a\tb\nc',
  '\u0085',
  '\u2028',
  '\uFEFF',
  '\u0000',
  '\uD800',
  '😀',
  '2026-01-31',
  '<<',
  '=',
  '---',
  '...',
  'a\n---\nb',
  'x'.repeat(2000),
  'y\n'
]

void t.test('a YAML parser reads the same value, by both versions of the language', async (t) => {
  const text = fc.oneof(fc.constantFrom(...ODD), fc.string({ unit: 'binary' }), fc.string())
  const json = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4, depthSize: 'small' },
      text,
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(
        text.filter((key) => key !== '__proto__'),
        tie('value'),
        { maxKeys: 4, noNullPrototype: true }
      )
    )
  })).value
  fc.assert(fc.property(json, (value) => {
    const wanted = JSON.parse(JSON.stringify(value)) as unknown
    for (const version of ['1.1', '1.2'] as const) {
      t.equal(
        JSON.stringify(parse(toYaml(value), { strict: true, uniqueKeys: true, version })),
        JSON.stringify(wanted)
      )
    }
  }), { seed, numRuns })
})

void t.test('the text is indented, and quoted only where needed', async (t) => {
  t.equal(
    toYaml({
      a: '/ws/{room}',
      list: [{ b: 1, c: [] }, [true, 'yes'], {}],
      text: 'one\n\ntwo',
      none: undefined
    }),
    `a: /ws/{room}
list:
  - b: 1
    c: []
  - - true
    - "yes"
  - {}
text: |-
  one

  two
`
  )
})
