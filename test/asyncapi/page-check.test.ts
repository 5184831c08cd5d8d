import t from 'tap'
import fc from 'fast-check'
import { Ajv } from 'ajv'

interface Page {
  check: (schema: unknown, value: unknown, model: unknown) => string[]
  sample: (schema: unknown, model: unknown) => unknown
  Model: new (document: object) => unknown
}

async function loadPage (): Promise<Page> {
  const from = (name: string): string => `../../src/asyncapi/page/${name}.mjs`
  const [{ check }, { sample }, { Model }] = await Promise.all(
    ['check', 'sample', 'model'].map((name) => import(from(name)))
  )
  return { check, sample, Model }
}

const DEFINITIONS = {
  node: {
    type: 'object',
    properties: {
      kids: { type: 'array', items: { $ref: '#/components/schemas/node' }, maxItems: 2 },
      n: { type: 'integer' }
    },
    required: ['n']
  }
}

const SCHEMAS: readonly object[] = [
  { type: 'string', minLength: 2, maxLength: 4 },
  { type: 'string', pattern: '^a' },
  { type: ['string', 'null'] },
  { type: 'integer', minimum: 1, maximum: 4 },
  { type: 'number', exclusiveMinimum: 0, exclusiveMaximum: 2 },
  { type: 'number', multipleOf: 2 },
  { const: { a: [1, null] } },
  { enum: ['a', 1, null, [1]] },
  { type: 'boolean' },
  { type: 'array', items: { type: 'integer' }, minItems: 1, maxItems: 2, uniqueItems: true },
  {
    type: 'array',
    items: [{ type: 'string' }, { type: 'integer' }],
    additionalItems: false,
    minItems: 2
  },
  { type: 'array', contains: { const: 1 } },
  {
    type: 'object',
    properties: { a: { type: 'string' }, b: { type: 'integer', default: 3 } },
    required: ['a'],
    additionalProperties: false
  },
  {
    type: 'object',
    patternProperties: { '^a': { type: 'integer' } },
    additionalProperties: { type: 'string' },
    minProperties: 1,
    maxProperties: 2
  },
  { type: 'object', propertyNames: { maxLength: 1 } },
  { type: 'object', dependencies: { a: ['b'], b: { required: ['c'] } } },
  { anyOf: [{ type: 'string' }, { type: 'object', required: ['a'] }] },
  { oneOf: [{ type: 'integer' }, { type: 'number', minimum: 2 }] },
  { allOf: [{ type: 'object', required: ['a'] }, { properties: { a: { type: 'integer' } } }] },
  { not: { type: 'string' } },
  { if: { type: 'string' }, then: { minLength: 2 }, else: { type: 'integer' } },
  { $ref: '#/components/schemas/node' },
  {}
]

void t.test('check accepts and refuses the same values as Ajv', async (t) => {
  const { check, Model } = await loadPage()
  const ajv = new Ajv({ strict: false, allErrors: true })
  const document = { components: { schemas: DEFINITIONS } }
  const model = new Model(document)
  const key = fc.constantFrom('a', 'b', 'c', 'n', 'kids', 'ab')
  const value = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      fc.constantFrom<unknown>(
        '',
        'a',
        'ab',
        'bcdef',
        '😀',
        0,
        1,
        2,
        3,
        5,
        -1,
        0.5,
        true,
        false,
        null
      ),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(key, tie('value'), { maxKeys: 3, noNullPrototype: true })
    )
  })).value
  for (const schema of SCHEMAS) {
    const validate = ajv.compile({ ...schema, ...document })
    t.doesNotThrow(
      () =>
        fc.assert(
          fc.property(value, (message) => {
            return (check(schema, message, model).length === 0) === validate(message)
          }),
          {
            numRuns: 400,
            ...(process.env['FUZZ_SEED'] !== undefined && {
              seed: Number(process.env['FUZZ_SEED'])
            })
          }
        ),
      JSON.stringify(schema)
    )
  }
})

void t.test('sample returns a value that matches the schema', async (t) => {
  const { check, sample, Model } = await loadPage()
  const model = new Model({ components: { schemas: DEFINITIONS } })
  const more = [
    { type: 'string', format: 'email' },
    { type: 'object', properties: { a: { examples: [5] }, b: { const: 'b' } } },
    { anyOf: [{ $ref: '#/components/schemas/node' }, { type: 'null' }] }
  ]
  // `sample` does not search for values that match a pattern, `contains` or `if`.
  const sampled = SCHEMAS.filter(
    (schema) => !/pattern|contains|"if"|dependencies|"not"/.test(JSON.stringify(schema))
  )
  for (const schema of [...sampled, ...more]) {
    t.same(
      check(schema, sample(schema, model), model),
      [],
      JSON.stringify([schema, sample(schema, model)])
    )
  }
})
