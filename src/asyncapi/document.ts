import { FST_WEBSOCK_UNDESCRIBABLE } from '../errors.ts'
import { routeOf } from '../plugin/route.ts'
import { describeChannel, type DeclaredRoute, type DescribedChannel } from './channel.ts'
import type { AsyncApiOptions } from './options.ts'
import { indexShared, SchemaBook } from './schema-book.ts'
import type {
  AsyncApiChannel,
  AsyncApiDocument,
  AsyncApiMessage,
  AsyncApiOperation,
  AsyncApiSecurityScheme,
  AsyncApiServer,
  AsyncApiTag,
  DescribedRoute,
  Reference
} from './types.ts'

/** A document under construction. */
interface Draft {
  readonly options: AsyncApiOptions
  readonly book: SchemaBook
  readonly servers: Record<string, AsyncApiServer>
  readonly channels: Record<string, AsyncApiChannel>
  readonly operations: Record<string, AsyncApiOperation>
}

/** Builds the document of these routes. Throws FST_WEBSOCK_UNDESCRIBABLE. */
export function buildDocument (
  routes: readonly DeclaredRoute[],
  options: AsyncApiOptions
): AsyncApiDocument {
  const book = new SchemaBook(options.refResolver?.buildLocalReference)
  const draft: Draft = {
    options,
    book,
    servers: { ...options.servers },
    channels: {},
    operations: {}
  }
  const indexes = new Map<object, ReturnType<typeof indexShared>>()
  for (const { instance, route } of routes) {
    const shared = indexes.get(instance) ?? indexShared(instance.getSchemas())
    indexes.set(instance, shared)
    try {
      addRoute(draft, route, shared)
    } catch (cause) {
      const text = cause instanceof Error ? cause.message : String(cause)
      throw Object.assign(new FST_WEBSOCK_UNDESCRIBABLE(`GET:${route.url}`, text), { cause })
    }
  }
  const { info, tags, securitySchemes } = options
  return {
    asyncapi: '3.1.0',
    info: { title: 'WebSocket API', version: '0.0.0', ...info, ...(tags && { tags }) },
    defaultContentType: 'application/json',
    ...(Object.keys(draft.servers).length > 0 && { servers: draft.servers }),
    channels: draft.channels,
    operations: draft.operations,
    components: { schemas: book.components, ...(securitySchemes && { securitySchemes }) }
  }
}

function addRoute (
  draft: Draft,
  route: DeclaredRoute['route'],
  shared: ReturnType<typeof indexShared>
): void {
  const { options, book } = draft
  // `schema.hide` may be set by this library, to hide the route from @fastify/swagger. The value of
  // the application counts here.
  const own = {
    ...route.schema,
    hide: routeOf(route.config)?.hidden ?? route.schema?.hide === true
  }
  const given: DescribedRoute = { schema: own, url: route.url, route }
  const { schema, url } = options.transform?.(given) ?? given
  if (schema.hide === true || options.hide?.(given) === true) return
  const described = describeChannel({ route, schema, url, shared, book })
  const { address, parameters, binding } = described
  const id = uniqueKey(schema.operationId ?? url, draft.channels)
  const tags = describeTags(schema.tags, options.tags)
  const messages: Record<string, AsyncApiMessage> = {}
  draft.channels[id] = {
    address,
    ...(schema.summary !== undefined && { title: schema.summary }),
    ...describeTexts(schema.description, route.constraints),
    ...serversOf(route.constraints, draft),
    ...(Object.keys(parameters).length > 0 && { parameters }),
    messages,
    ...tags,
    bindings: { ws: binding }
  }
  for (const action of ['receive', 'send'] as const) {
    const operation = describeOperation(action, described, { id, messages })
    if (operation === undefined) continue
    draft.operations[uniqueKey(`${id}.${action}`, draft.operations)] = {
      ...operation,
      ...describeSecurity(schema.security, options.securitySchemes),
      ...tags
    }
  }
}

function describeOperation (
  action: 'receive' | 'send',
  described: DescribedChannel,
  { id, messages }: { readonly id: string, readonly messages: Record<string, AsyncApiMessage> }
): AsyncApiOperation | undefined {
  if (described[action].length === 0) return undefined
  const references = described[action].map((message) => {
    const key = uniqueKey(`${action}.${message.name}`, messages)
    messages[key] = message
    return { $ref: `#/channels/${id}/messages/${key}` }
  })
  return { action, channel: { $ref: `#/channels/${id}` }, messages: references }
}

/** Describes constraints in words, because AsyncAPI has no field for them. */
function describeTexts (
  description: string | undefined,
  constraints: Readonly<Record<string, unknown>> | undefined
): { description?: string } {
  const { host, version: _header, ...others } = constraints ?? {}
  const words = [
    description,
    host instanceof RegExp ? `Only for hosts that match ${String(host)}.` : undefined,
    ...Object.keys(others).map((name) => `Only for requests that meet the constraint \`${name}\`.`)
  ].filter((text) => text !== undefined && text !== '')
  return words.length > 0 ? { description: words.join('\n\n') } : {}
}

/** The server of a route with a `host` constraint. */
function serversOf (
  constraints: Readonly<Record<string, unknown>> | undefined,
  { options, servers }: Draft
): { servers?: readonly Reference[] } {
  const host = constraints?.['host']
  if (typeof host !== 'string') return {}
  const names = Object.keys(servers).filter((name) => servers[name]?.host === host)
  if (names.length === 0) {
    const name = uniqueKey(host, servers)
    const [{ protocol } = { protocol: 'wss' }] = Object.values(options.servers ?? {})
    servers[name] = { host, protocol }
    names.push(name)
  }
  return { servers: names.map((name) => ({ $ref: `#/servers/${name}` })) }
}

function describeTags (
  names: readonly string[] | undefined,
  tags: readonly AsyncApiTag[] = []
): { tags?: readonly AsyncApiTag[] } {
  if (names === undefined || names.length === 0) return {}
  return {
    tags: [...new Set(names)].map((name) => tags.find((tag) => tag.name === name) ?? { name })
  }
}

/**
 * The security of an operation: each listed scheme is sufficient. AsyncAPI cannot say that two
 * schemes are needed together. Such schemes are both listed, and the description says so.
 */
function describeSecurity (
  requirements: ReadonlyArray<Readonly<Record<string, readonly string[]>>> | undefined,
  schemes: AsyncApiOptions['securitySchemes']
): Pick<AsyncApiOperation, 'security' | 'description'> {
  if (requirements === undefined || requirements.length === 0) return {}
  const listed = new Map<string, AsyncApiSecurityScheme | Reference>()
  for (const [name, scopes] of requirements.flatMap((requirement) => Object.entries(requirement))) {
    const scheme = schemes !== undefined && Object.hasOwn(schemes, name) ? schemes[name] : undefined
    if (scheme === undefined) {
      throw new TypeError(`\`security\` names ${name}, which is not in \`securitySchemes\``)
    }
    const entry =
      scopes.length > 0 ? { ...scheme, scopes } : { $ref: `#/components/securitySchemes/${name}` }
    listed.set(JSON.stringify(entry), entry)
  }
  const together = requirements
    .map((requirement) => Object.keys(requirement))
    .filter((names) => names.length > 1)
  return {
    ...(together.length > 0 && {
      description: `Needed together: ${together.map((names) => names.join(' and ')).join('; or ')}.`
    }),
    ...(listed.size > 0 && { security: [...listed.values()] })
  }
}

/** Builds a key that the object does not have yet, and that needs no escaping in a reference. */
function uniqueKey (text: string, taken: object): string {
  const base = text.replace(/[^\w-]+/g, '.').replace(/^\.+|\.+$/g, '') || 'root'
  let key = base
  for (let n = 2; Object.hasOwn(taken, key); n++) key = `${base}.${n}`
  return key
}
