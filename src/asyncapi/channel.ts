import type { FastifyInstance, FastifySchema, RouteOptions } from 'fastify'
import type { AnyHandler } from '../connection/handler.ts'
import { routeOf } from '../plugin/route.ts'
import { parseAddress, type AddressParameter } from './address.ts'
import { describeMessages, propertiesOf } from './messages.ts'
import { toJsonSchema, vendorOf, type Side } from './json-schema.ts'
import {
  dereference,
  locate,
  type indexShared,
  type Located,
  type SchemaBook
} from './schema-book.ts'
import type {
  AsyncApiMessage,
  AsyncApiParameter,
  AsyncApiWsBinding,
  DocumentSchema
} from './types.ts'

/** A websocket route, and the Fastify instance that declared it. */
export interface DeclaredRoute {
  readonly instance: FastifyInstance
  readonly route: RouteOptions
}

export interface ChannelOptions {
  readonly route: RouteOptions
  readonly schema: FastifySchema
  readonly url: string
  readonly shared: ReturnType<typeof indexShared>
  readonly book: SchemaBook
}

/** The description of one route. */
export interface DescribedChannel {
  readonly address: string
  readonly parameters: Readonly<Record<string, AsyncApiParameter>>
  readonly binding: AsyncApiWsBinding
  /** The messages that clients send. */
  readonly receive: readonly AsyncApiMessage[]
  /** The messages that the server sends. */
  readonly send: readonly AsyncApiMessage[]
}

/**
 * Describes a route's address, upgrade and messages. Throws a TypeError for a schema that it cannot
 * describe.
 */
export function describeChannel (options: ChannelOptions): DescribedChannel {
  const { url, schema } = options
  const { address, parameters } = parseAddress(url)
  return {
    address,
    parameters: describeParameters(parameters, schema.params, options),
    binding: describeBinding(options),
    receive: receivesMessages(options) ? messagesOf('receive', options) : [],
    send: messagesOf('send', options)
  }
}

/** Tells whether a route receives messages. Without a `receive` schema only `handleIn` does. */
function receivesMessages ({ route, schema }: ChannelOptions): boolean {
  const { handleIn, on } = route.websocketHandler as AnyHandler
  return schema.websocket?.receive !== undefined || handleIn !== undefined || on !== undefined
}

function messagesOf (
  part: 'receive' | 'send',
  { route, schema: { deprecated, websocket }, shared, book }: ChannelOptions
): readonly AsyncApiMessage[] {
  const { codec } = routeOf(route.config)?.options ?? route.websocketOptions ?? {}
  const schema = websocket?.[part]
  // The serializer of zod encodes, so the input of the schema is on the wire. Other codecs get the
  // output.
  const encodes = codec === undefined && vendorOf(schema) === 'zod'
  const side: Side = part === 'receive' || encodes ? 'input' : 'output'
  const opcode = codec?.opcode ?? 'text'
  const unnamed = opcode === 'text' ? 'text/plain' : 'application/octet-stream'
  const contentType = codec === undefined ? 'application/json' : codec.contentType ?? unnamed
  return describeMessages({
    schema,
    side,
    opcode,
    contentType,
    deprecated: deprecated === true,
    shared,
    book
  })
}

function describeParameters (
  parameters: readonly AddressParameter[],
  schema: unknown,
  { shared, book }: ChannelOptions
): Readonly<Record<string, AsyncApiParameter>> {
  const { properties } = schema === undefined
    ? { properties: new Map<string, Located>() }
    : propertiesOf(locate(toJsonSchema(schema, 'input'), shared))
  return Object.fromEntries(parameters.map((parameter) => {
    const property = properties.get(parameter.key)
    return [parameter.name, describeParameter(parameter, property, book)]
  }))
}

function describeParameter (
  { key, optional, pattern }: AddressParameter,
  property: Located | undefined,
  book: SchemaBook
): AsyncApiParameter {
  const {
    enum: values,
    const: only,
    default: fallback,
    examples,
    description
  } = property === undefined ? {} : dereference(property).schema
  const texts = (list: unknown): string[] => Array.isArray(list) ? list.map(String) : []
  const choices = texts(values ?? (only === undefined ? undefined : [only]))
  const words = [
    typeof description === 'string' ? description : '',
    key === '*' ? 'The rest of the path, with its slashes.' : '',
    optional ? 'May be left out.' : '',
    pattern === undefined ? '' : `Matches ${pattern}`
  ].filter((text) => text !== '')
  return {
    ...(words.length > 0 && { description: words.join('\n\n') }),
    ...(choices.length > 0 && { enum: choices }),
    ...(fallback !== undefined && { default: String(fallback) }),
    ...(texts(examples).length > 0 && { examples: texts(examples) }),
    ...(property !== undefined && { 'x-schema': book.add(property) }),
    ...(optional && { 'x-optional': true as const }),
    ...(key === '*' && { 'x-wildcard': true as const })
  }
}

function describeBinding (options: ChannelOptions): AsyncApiWsBinding {
  const { schema } = options
  const query = describeObject(schema.querystring ?? (schema as { query?: unknown }).query, options)
  const headers = describeHeaders(options)
  return {
    method: 'GET',
    ...(query && { query }),
    ...(headers && { headers }),
    bindingVersion: '0.1.0'
  }
}

/** Describes a schema of the handshake as an object with `properties`, as the binding requires. */
function describeObject (
  schema: unknown,
  { shared, book }: ChannelOptions
): DocumentSchema | undefined {
  if (schema === undefined) return undefined
  const located = locate(toJsonSchema(schema, 'input'), shared)
  const { properties, required } = propertiesOf(located)
  // A property with a default is not required, because Fastify sets the default.
  const needed = [...required].filter((key) => {
    const property = properties.get(key)
    return property === undefined || dereference(property).schema['default'] === undefined
  })
  // Without its `$id` the schema is written in place, and not as a component.
  const {
    $id: _id,
    $ref: _ref,
    allOf: _all,
    required: _required,
    ...whole
  } = dereference(located).schema
  const described = book.add({ ...located, schema: { ...whole, properties: {} } })
  return {
    ...described,
    type: 'object',
    properties: Object.fromEntries(
      [...properties].map(([key, property]) => [key, book.add(property)])
    ),
    ...(needed.length > 0 && { required: needed })
  }
}

/** The declared headers, the subprotocols, and the version that a constraint asks for. */
function describeHeaders (options: ChannelOptions): DocumentSchema | undefined {
  const { route, schema } = options
  const { subprotocols = [], requireSubprotocol = false } =
    routeOf(route.config)?.options ?? route.websocketOptions ?? {}
  const version = (route.constraints as { version?: unknown } | undefined)?.version
  const declared = describeObject(schema.headers, options)
  const headers = {
    ...(declared?.['properties'] as Record<string, DocumentSchema> | undefined),
    ...(subprotocols.length > 0 && {
      'sec-websocket-protocol': {
        type: 'string',
        description: `Subprotocols that the server speaks, best first: ${subprotocols.join(', ')}.`,
        examples: [...subprotocols]
      }
    }),
    ...(typeof version === 'string' && {
      'accept-version': {
        type: 'string',
        description: `A range that has version ${version}.`,
        examples: [version]
      }
    })
  }
  if (Object.keys(headers).length === 0) return undefined
  const required = [
    ...(declared?.['required'] as string[] | undefined ?? []),
    ...(requireSubprotocol ? ['sec-websocket-protocol'] : []),
    ...(typeof version === 'string' ? ['accept-version'] : [])
  ]
  return {
    ...declared,
    type: 'object',
    properties: headers,
    ...(required.length > 0 && { required })
  }
}
