import { copySchema, forEachChild, isObject, toJson, type SchemaObject } from './json-schema.ts'
import type { DocumentSchema } from './types.ts'

/** A schema, and the base of its references. */
export interface Located {
  readonly schema: SchemaObject
  /** The base URI of the references in the schema. */
  readonly base: string
  readonly index: Index
}

/** The schemas that references can resolve to, by URI. */
interface Index {
  readonly own: ReadonlyMap<string, Located>
  readonly shared: ReadonlyMap<string, Located> | undefined
}

/** Names the component of a schema. The parameters are those of @fastify/swagger. */
export type BuildLocalReference = (
  schema: SchemaObject,
  baseUri: string,
  fragment: string,
  i: number
) => string

/** Ids are resolved against this URL, like in Ajv: `shared#` is `schema:///shared`. */
const ROOT = 'schema:///'
const ANNOTATIONS = new Set(['$defs', '$id', '$ref', '$schema', 'definitions'])

/** The schemas of one document. Each referenced schema becomes one component. */
export class SchemaBook {
  readonly components: Record<string, DocumentSchema> = {}
  readonly #buildName: BuildLocalReference
  readonly #names = new Map<SchemaObject, string>()
  readonly #sources = new Map<string, Located>()

  constructor (buildName: BuildLocalReference = nameOf) {
    this.#buildName = buildName
  }

  /**
   * Converts a schema for the document. Throws a TypeError for a reference that cannot be resolved.
   */
  add (located: Located): DocumentSchema {
    const converted = this.#convert(located.schema, located)
    if (typeof converted === 'boolean') return converted ? {} : { not: {} }
    // With a name, the schema contains a reference to itself, and has become a component.
    const name = this.#names.get(located.schema)
    return name === undefined ? converted : toReference(name)
  }

  #convert (schema: unknown, parent: Located, inPlace = false): DocumentSchema | boolean {
    if (!isObject(schema)) return schema !== false
    const located = enter(schema, parent)
    if (!inPlace && hasId(schema)) return toReference(this.#name(located, '#'))
    const copy = copySchema(schema, (child) => this.#convert(child, located))
    const ref = refOf(schema)
    if (ref === undefined) return copy
    const reference = toReference(this.#name(resolve(ref, located), ref))
    // Draft 07 ignores keywords beside a reference. Ajv does not.
    return Object.keys(schema).every((key) => ANNOTATIONS.has(key))
      ? reference
      : { allOf: [reference], ...copy }
  }

  /** The name of a schema's component. Creates the component if it does not exist. */
  #name (located: Located, ref: string): string {
    const { schema } = located
    const known = this.#names.get(schema)
    if (known !== undefined) return known
    const fragment = ref.includes('#') ? ref.slice(ref.indexOf('#')) : '#'
    const wanted = this.#buildName(schema, located.base, fragment, this.#sources.size)
      .replace(/[^\w.-]+/g, '-').replace(/^-+|-+$/g, '') || 'schema'
    let name = wanted
    for (let n = 2; this.#sources.has(name); n++) {
      if (isSame(this.#sources.get(name) as Located, located)) break
      name = `${wanted}-${n}`
    }
    this.#names.set(schema, name)
    if (this.#sources.has(name)) return name
    this.#sources.set(name, located)
    // Reserves the place, so that components are in the order in which they are found.
    this.components[name] = {}
    const converted = this.#convert(schema, located, true)
    this.components[name] = typeof converted === 'boolean' ? {} : converted
    return name
  }
}

/** The schemas that a Fastify context shares (`addSchema`), for {@link locate}. */
export function indexShared (schemas: Readonly<Record<string, unknown>>): Index {
  const own = new Map<string, Located>()
  const index: Index = { own, shared: undefined }
  for (const schema of Object.values(schemas)) {
    if (isObject(schema)) collect(schema, { schema, base: ROOT, index }, own)
  }
  return index
}

/** A schema of a route, whose references may resolve to shared schemas. */
export function locate (schema: SchemaObject, shared: Index): Located {
  const own = new Map<string, Located>()
  // A schema without an id needs its own base: ROOT belongs to the shared schemas.
  const base = `${ROOT}?`
  const located = { schema, base, index: { own, shared: shared.own } }
  own.set(base, located)
  collect(schema, located, own)
  return located
}

/** Follows references until it finds a schema that is not only a reference. */
export function dereference (located: Located): Located {
  let current = enter(located.schema, located)
  for (const seen = new Set<SchemaObject>(); !seen.has(current.schema);) {
    const ref = refOf(current.schema)
    if (ref === undefined || Object.keys(current.schema).some((key) => !ANNOTATIONS.has(key))) break
    seen.add(current.schema)
    current = resolve(ref, current)
  }
  return current
}

/** Locates a schema that is nested in a located one. */
export function enter (schema: SchemaObject, { base, index }: Located): Located {
  return { schema, base: hasId(schema) ? toUri(schema['$id'] as string, base) : base, index }
}

function resolve (ref: string, { base, index }: Located): Located {
  const [uri, fragment = ''] = splitFragment(toUri(ref, base, true))
  const anchored = find(`${uri}#${fragment}`, index)
  if (anchored !== undefined) return anchored
  let located = find(uri, index)
  for (const part of fragment.split('/').slice(1)) {
    const key = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~')
    const child =
      located === undefined ? undefined : (located.schema as Record<string, unknown>)[key]
    if (typeof child === 'boolean') {
      return { ...(located as Located), schema: child ? {} : { not: {} } }
    }
    located =
      typeof child !== 'object' || child === null
        ? undefined
        : enter(child as SchemaObject, located as Located)
  }
  if (located === undefined || (fragment !== '' && !fragment.startsWith('/'))) {
    throw new TypeError(
      `the reference ${ref} cannot be resolved: share its schema by app.addSchema, or let ` +
      '`transform` convert it'
    )
  }
  return located
}

function find (uri: string, { own, shared }: Index): Located | undefined {
  return own.get(uri) ?? shared?.get(uri)
}

/** Adds every `$id` and anchor in a schema to `found`. */
function collect (schema: SchemaObject, parent: Located, found: Map<string, Located>): void {
  const located = enter(schema, parent)
  if (hasId(schema)) found.set(located.base, located)
  for (const keyword of ['$anchor', '$dynamicAnchor', '$id']) {
    const anchor = schema[keyword]
    if (typeof anchor !== 'string' || (keyword === '$id' && !anchor.startsWith('#'))) continue
    found.set(`${located.base}#${anchor.replace('#', '')}`, located)
  }
  forEachChild(schema, (child) => { if (isObject(child)) collect(child, located, found) })
}

/** An `$id` that begins with `#` is an anchor (draft 06). */
function hasId ({ $id }: SchemaObject): boolean {
  return typeof $id === 'string' && !$id.startsWith('#') && $id !== ''
}

function refOf ({ $ref, $dynamicRef, $recursiveRef }: SchemaObject): string | undefined {
  const ref = $ref ?? $dynamicRef ?? $recursiveRef
  return typeof ref === 'string' ? ref : undefined
}

function toUri (id: string, base: string, withFragment = false): string {
  if (id.startsWith('#')) return `${splitFragment(base)[0]}${id}`
  const { href } = new URL(id, base)
  return withFragment ? href : splitFragment(href)[0]
}

function splitFragment (uri: string): [uri: string, fragment: string | undefined] {
  const at = uri.indexOf('#')
  return at < 0 ? [uri, undefined] : [uri.slice(0, at), uri.slice(at + 1)]
}

/** Tells whether two schemas and all schemas that they refer to have the same text. */
function isSame (a: Located, b: Located): boolean {
  return textOf(a) === textOf(b)
}

function textOf (located: Located, seen = new Set<string>()): string {
  const text = JSON.stringify(toJson(located.schema))
  if (seen.has(text)) return ''
  seen.add(text)
  const parts = [text]
  const visit = (child: unknown, parent: Located): void => {
    if (!isObject(child)) return
    const at = enter(child, parent)
    const ref = refOf(child)
    if (ref !== undefined) parts.push(textOf(resolve(ref, at), seen))
    forEachChild(child, (inner) => visit(inner, at))
  }
  visit(located.schema, located)
  return parts.join('\n')
}

function nameOf (
  { $id, title }: SchemaObject,
  _baseUri: string,
  fragment: string,
  i: number
): string {
  const last =
    (typeof $id === 'string' ? $id.replace(/#.*$/, '').split(/[/:]/).at(-1) : undefined) ||
    /^#\/(?:definitions|\$defs)\/([^/]+)$/.exec(fragment)?.[1]
  return last || (typeof title === 'string' && title) || `def-${i}`
}

function toReference (name: string): DocumentSchema {
  return { $ref: `#/components/schemas/${name}` }
}
