import { h, inline, link } from './dom.mjs'
import { isObject, nameOf } from './model.mjs'

const SIMPLE = new Set(['string', 'number', 'integer', 'boolean', 'null'])
const MAX_CHOICES = 12

/** Shows a schema as a tree. References are opened on demand, so that recursive schemas end. */
export function showSchema (schema, model) {
  if (
    isObject(schema) &&
    (schema.properties !== undefined || schema.$ref !== undefined || schema.allOf !== undefined)
  ) {
    const about = aboutOf(schema)
    return h(
      'div.schema',
      {},
      schema.$ref !== undefined && row(undefined, schema, false, model),
      about,
      fields(schema, model)
    )
  }
  return h(
    'div.schema',
    {},
    h('ul', {}, h('li', {}, row(undefined, schema, false, model), fields(schema, model)))
  )
}

/** The lists of a schema's properties, items and alternatives. */
function fields (given, model) {
  if (!isObject(given)) return []
  if (given.$ref !== undefined) return []
  const {
    properties = {},
    patternProperties = {},
    required = [],
    additionalProperties,
    items,
    allOf,
    anyOf,
    oneOf,
    not
  } = given
  const rows = [
    ...Object.entries(properties).map(([key, property]) =>
      field(key, property, required.includes(key), model)
    ),
    ...Object.entries(patternProperties).map(([pattern, property]) =>
      field(`/${pattern}/`, property, false, model)
    ),
    ...(isObject(additionalProperties)
      ? [field('other fields', additionalProperties, false, model)]
      : [])
  ]
  return [
    rows.length > 0 && h('ul', {}, rows),
    additionalProperties === false && rows.length > 0 && h('p.quiet', {}, 'No other fields.'),
    Array.isArray(items) &&
      h(
        'ul',
        {},
        items.map((item, i) => field(`[${i}]`, item, true, model))
      ),
    isObject(items) && !isSimple(items) && fields(items, model),
    Array.isArray(allOf) &&
      allOf.map((part) =>
        h('div.part', {}, row('all of', part, false, model), fields(part, model))
      ),
    kinds(anyOf, 'any of', model),
    kinds(oneOf, 'one of', model),
    isObject(not) && h('div.part', {}, row('not', not, false, model), fields(not, model))
  ]
}

function kinds (list, word, model) {
  if (!Array.isArray(list) || list.every(isSimple)) return []
  return h(
    'div.part',
    {},
    h('span.word', {}, word),
    h(
      'ul',
      {},
      list.map((kind) => h('li', {}, row(undefined, kind, false, model), fields(kind, model)))
    )
  )
}

function field (key, schema, required, model) {
  return h('li', {}, row(key, schema, required, model), fields(schema, model))
}

function row (key, schema, required, model) {
  return h('div.row', {},
    key !== undefined && h('code.key', {}, key),
    required && h('span.required', { title: 'required' }, 'required'),
    h('span.type', {}, typeText(schema)),
    h('span.quiet', {}, constraintsOf(schema)),
    isObject(schema) && schema.deprecated === true && h('span.warning', {}, 'deprecated'),
    key !== undefined && aboutOf(schema),
    isObject(schema) && schema.$ref !== undefined && opener(schema, model))
}

function aboutOf (schema) {
  const { title, description } = isObject(schema) ? schema : {}
  const text = [title, description].filter((part) => typeof part === 'string').join(': ')
  return text === '' ? undefined : h('span.about', {}, ...inline(text))
}

/** Shows the referenced schema when it is opened. */
function opener (schema, model) {
  const details = h('details', {
    toggle: () => {
      if (details.open && details.childElementCount === 1) {
        details.append(showSchema(model.resolve(schema), model))
      }
    }
  }, h('summary', {}, 'show'))
  return details
}

/** The type of a schema as text, with links for names of schemas. */
export function typeText (schema) {
  if (schema === true || !isObject(schema)) return [schema === false ? 'nothing' : 'anything']
  if (schema.$ref !== undefined) return [link(nameOf(schema), 'schemas', nameOf(schema))]
  if ('const' in schema) return [JSON.stringify(schema.const)]
  if (Array.isArray(schema.enum)) {
    const shown = schema.enum
      .slice(0, MAX_CHOICES)
      .map((value) => JSON.stringify(value))
      .join(' | ')
    return [
      schema.enum.length > MAX_CHOICES
        ? `${shown} | … ${schema.enum.length - MAX_CHOICES} more`
        : shown
    ]
  }
  const list = schema.anyOf ?? schema.oneOf
  if (Array.isArray(list)) {
    return list.every(isSimple)
      ? list.flatMap((kind, i) => (i > 0 ? [' | ', ...typeText(kind)] : typeText(kind)))
      : [[schema.type].flat().join(' | ')]
  }
  const type = [schema.type].flat().filter(Boolean).join(' | ') || schema['x-type']
  if (Array.isArray(schema.items)) return ['array']
  if (schema.items !== undefined) return [`${type ?? 'array'} of `, ...typeText(schema.items)]
  return [
    type ??
      (schema.properties !== undefined ? 'object' : schema.allOf !== undefined ? '' : 'anything')
  ]
}

/** Tells whether the type of a schema fits on one line. */
function isSimple (schema) {
  if (!isObject(schema)) return true
  if (schema.$ref !== undefined || 'const' in schema || Array.isArray(schema.enum)) return true
  return (
    [schema.type].flat().every((type) => SIMPLE.has(type)) &&
    schema.anyOf === undefined &&
    schema.oneOf === undefined
  )
}

export function constraintsOf (schema) {
  if (!isObject(schema)) return ''
  const range = (low, high, unit) => {
    if (low === undefined && high === undefined) return ''
    if (low === undefined) return `at most ${high}${unit}`
    if (high === undefined) return `at least ${low}${unit}`
    return low === high ? `${low}${unit}` : `${low} to ${high}${unit}`
  }
  return [
    range(schema.minLength, schema.maxLength, ' characters'),
    range(schema.minItems, schema.maxItems, ' items'),
    range(schema.minProperties, schema.maxProperties, ' fields'),
    range(schema.minimum, schema.maximum, ''),
    schema.exclusiveMinimum === undefined ? '' : `more than ${schema.exclusiveMinimum}`,
    schema.exclusiveMaximum === undefined ? '' : `less than ${schema.exclusiveMaximum}`,
    schema.multipleOf === undefined ? '' : `multiple of ${schema.multipleOf}`,
    schema.uniqueItems === true ? 'all different' : '',
    typeof schema.format === 'string' ? schema.format : '',
    typeof schema.pattern === 'string' ? `matches ${schema.pattern}` : '',
    isObject(schema.items) && constraintsOf(schema.items) !== ''
      ? `each ${constraintsOf(schema.items)}`
      : '',
    'default' in schema ? `default ${JSON.stringify(schema.default)}` : ''
  ]
    .filter((text) => text !== '')
    .join(', ')
}
