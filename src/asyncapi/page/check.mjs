import { isObject } from './model.mjs'

/** Deeper nested values are not checked. The server checks them. */
const MAX_DEPTH = 64

/**
 * Returns the problems of a value, such as `/text is shorter than 1`. Empty when it matches.
 * Supports the usual keywords of draft 07 except formats. The server validates in any case.
 */
export function check (schema, value, model) {
  const problems = []
  walk(schema, value, '', problems, model, 0)
  return problems
}

function walk (given, value, path, problems, model, depth) {
  if (given === true || depth > MAX_DEPTH) return
  if (given === false) {
    problems.push(`${path || 'the message'} is not allowed`)
    return
  }
  if (typeof given.$ref === 'string') {
    walk(model.resolve(given), value, path, problems, model, depth + 1)
    return
  }
  const at = path || 'the message'
  const say = (text) => problems.push(`${at} ${text}`)
  const inner = (schema, item, key) =>
    walk(schema, item, `${path}/${key}`, problems, model, depth + 1)
  const matches = (schema) => {
    const found = []
    walk(schema, value, path, found, model, depth + 1)
    return found
  }
  const types = [given.type].flat().filter((type) => type !== undefined)
  if (types.length > 0 && !types.some((type) => isOfType(value, type))) {
    say(`is not ${types.join(' or ')}`)
    return
  }
  if ('const' in given && !equal(value, given.const)) say(`is not ${JSON.stringify(given.const)}`)
  if (Array.isArray(given.enum) && !given.enum.some((item) => equal(value, item))) {
    say(`is none of ${given.enum.map((item) => JSON.stringify(item)).join(', ')}`)
  }
  if (typeof value === 'string') checkText(given, value, say)
  else if (typeof value === 'number') checkNumber(given, value, say)
  else if (Array.isArray(value)) checkList(given, value, say, inner, model, depth)
  else if (isObject(value)) checkObject(given, value, say, inner, model, depth)
  checkCombinations(given, matches, problems, say)
}

function checkText (schema, text, say) {
  const length = [...text].length
  if (length < schema.minLength) say(`is shorter than ${schema.minLength}`)
  if (length > schema.maxLength) say(`is longer than ${schema.maxLength}`)
  if (typeof schema.pattern === 'string' && !matchesPattern(schema.pattern, text)) {
    say(`does not match ${schema.pattern}`)
  }
}

function checkNumber (schema, number, say) {
  if (number < schema.minimum) say(`is less than ${schema.minimum}`)
  if (number > schema.maximum) say(`is more than ${schema.maximum}`)
  if (number <= schema.exclusiveMinimum) say(`is not more than ${schema.exclusiveMinimum}`)
  if (number >= schema.exclusiveMaximum) say(`is not less than ${schema.exclusiveMaximum}`)
  if (schema.multipleOf > 0 && !Number.isInteger(number / schema.multipleOf)) {
    say(`is not a multiple of ${schema.multipleOf}`)
  }
}

function checkList (schema, list, say, inner, model, depth) {
  if (list.length < schema.minItems) say(`has fewer than ${schema.minItems} items`)
  if (list.length > schema.maxItems) say(`has more than ${schema.maxItems} items`)
  if (
    schema.uniqueItems === true &&
    list.some((item, i) => list.slice(0, i).some((other) => equal(item, other)))
  ) {
    say('has equal items')
  }
  const { items, additionalItems, contains } = schema
  list.forEach((item, i) => {
    const wanted = Array.isArray(items) ? items[i] ?? additionalItems : items
    if (wanted !== undefined) inner(wanted, item, i)
  })
  if (contains !== undefined && !list.some((item) => fits(contains, item, model, depth))) {
    say('has no item that matches `contains`')
  }
}

function checkObject (schema, object, say, inner, model, depth) {
  const {
    properties = {},
    patternProperties = {},
    additionalProperties,
    propertyNames,
    dependencies = {}
  } = schema
  const keys = Object.keys(object)
  for (const key of schema.required ?? []) if (!Object.hasOwn(object, key)) say(`lacks ${key}`)
  if (keys.length < schema.minProperties) say(`has fewer than ${schema.minProperties} fields`)
  if (keys.length > schema.maxProperties) say(`has more than ${schema.maxProperties} fields`)
  for (const key of keys) {
    const patterns = Object.entries(patternProperties).filter(([pattern]) =>
      matchesPattern(pattern, key)
    )
    if (Object.hasOwn(properties, key)) inner(properties[key], object[key], key)
    for (const [, wanted] of patterns) inner(wanted, object[key], key)
    if (
      additionalProperties !== undefined &&
      !Object.hasOwn(properties, key) &&
      patterns.length === 0
    ) {
      inner(additionalProperties, object[key], key)
    }
    if (propertyNames !== undefined && !fits(propertyNames, key, model, depth)) {
      say(`may not have the field ${key}`)
    }
  }
  for (const [key, wanted] of Object.entries(dependencies)) {
    if (!Object.hasOwn(object, key)) continue
    if (Array.isArray(wanted)) {
      for (const other of wanted) {
        if (!Object.hasOwn(object, other)) say(`lacks ${other} beside ${key}`)
      }
    }
    if (!Array.isArray(wanted) && !fits(wanted, object, model, depth)) {
      say(`does not match the schema that ${key} requires`)
    }
  }
}

function checkCombinations (schema, matches, problems, say) {
  for (const part of schema.allOf ?? []) problems.push(...matches(part))
  if (Array.isArray(schema.anyOf)) {
    const found = schema.anyOf.map(matches)
    if (found.every((problems) => problems.length > 0)) explain(found, problems, say)
  }
  if (Array.isArray(schema.oneOf)) {
    const found = schema.oneOf.map(matches)
    const matching = found.filter((problems) => problems.length === 0).length
    if (matching === 0) explain(found, problems, say)
    else if (matching > 1) say('matches more than one alternative')
  }
  if (schema.not !== undefined && matches(schema.not).length === 0) {
    say('matches a forbidden schema')
  }
  if (schema.if !== undefined) {
    const branch = matches(schema.if).length === 0 ? schema.then : schema.else
    if (branch !== undefined) problems.push(...matches(branch))
  }
}

/** Reports the problems of the closest alternative, if there is exactly one. */
function explain (found, problems, say) {
  const fewest = Math.min(...found.map((list) => list.length))
  const nearest = found.filter((list) => list.length === fewest)
  if (nearest.length === 1) problems.push(...nearest[0])
  else say('matches no alternative')
}

function fits (schema, value, model, depth) {
  const found = []
  walk(schema, value, '', found, model, depth + 1)
  return found.length === 0
}

function isOfType (value, type) {
  switch (type) {
    case 'null': return value === null
    case 'array': return Array.isArray(value)
    case 'object': return isObject(value)
    case 'integer': return Number.isInteger(value)
    case 'number': return typeof value === 'number'
    case 'string': return typeof value === 'string'
    case 'boolean': return typeof value === 'boolean'
    default: return true
  }
}

/** A pattern that the browser cannot compile matches every text. */
function matchesPattern (pattern, text) {
  try {
    return new RegExp(pattern, 'u').test(text)
  } catch {
    return true
  }
}

function equal (a, b) {
  if (a === b) return true
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, i) => equal(item, b[i]))
  }
  if (!isObject(a) || !isObject(b)) return false
  const keys = Object.keys(a)
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && equal(a[key], b[key]))
  )
}
