import { inspect } from 'node:util'
import type { FastifySchema } from 'fastify'
import { FST_WEBSOCK_INVALID_OPTION, FST_WEBSOCK_UNKNOWN_OPTION } from '../errors.ts'
import type { BuildLocalReference } from './schema-book.ts'
import type {
  AsyncApiInfo, AsyncApiSecurityScheme, AsyncApiServer, AsyncApiTag, DescribedRoute
} from './types.ts'

/** The options of `app.register(asyncapi, options)`. */
export interface AsyncApiOptions {
  /** Default: the title `WebSocket API` and the version `0.0.0`. */
  readonly info?: Partial<AsyncApiInfo>
  /** Servers by name. Default none: the server that serves the document. */
  readonly servers?: Readonly<Record<string, AsyncApiServer>>
  /** Descriptions of the tags that routes have in `schema.tags`. */
  readonly tags?: readonly AsyncApiTag[]
  /** The security schemes that routes name in `schema.security`. */
  readonly securitySchemes?: Readonly<Record<string, AsyncApiSecurityScheme>>
  /**
   * Replaces the schema or URL of a route in the document. Use it for schemas that are not JSON
   * Schema, or to add texts.
   */
  readonly transform?: (route: DescribedRoute) => {
    readonly schema: FastifySchema
    readonly url: string
  }
  /** Leaves a route out of the document when it returns true, like `schema.hide: true`. */
  readonly hide?: (route: DescribedRoute) => boolean
  /** Names the components of schemas with an `$id`. Default: the last part of the id. */
  readonly refResolver?: { readonly buildLocalReference: BuildLocalReference }
  /** The path of the page, such as `/docs`. Default: no page. */
  readonly routePrefix?: string
}

interface Rule {
  /** Completes "must be …". */
  readonly words: string
  readonly fits: (value: unknown) => boolean
}

const RULES: { readonly [K in keyof Required<AsyncApiOptions>]: Rule } = {
  info: {
    words: 'an object whose title, version and description are strings if set',
    fits: (value) =>
      isRecord(value) &&
      ['title', 'version', 'description'].every((key) => isTextOrLess(value[key]))
  },
  servers: {
    words: 'an object of servers such as { production: { host: "example.com", protocol: "wss" } }',
    fits: (value) =>
      isMap(value, ({ host, protocol }) => typeof host === 'string' && typeof protocol === 'string')
  },
  tags: {
    words: 'a list of tags such as { name: "chat", description: "…" }',
    fits: (value) =>
      Array.isArray(value) &&
      value.every(
        (tag) =>
          isRecord(tag) && typeof tag['name'] === 'string' && isTextOrLess(tag['description'])
      )
  },
  securitySchemes: {
    words:
      'an object of schemes such as { session: { type: "httpApiKey", in: "cookie", name: "sid" } }',
    fits: (value) => isMap(value, ({ type }) => typeof type === 'string')
  },
  transform: { words: 'a function', fits: isFunction },
  hide: { words: 'a function', fits: isFunction },
  refResolver: {
    words: 'an object with the function buildLocalReference',
    fits: (value) => isRecord(value) && isFunction(value['buildLocalReference'])
  },
  routePrefix: {
    words: 'a path that begins with / and has no parameters',
    fits: (value) => typeof value === 'string' && /^\/[\w\-.~/]*$/.test(value)
  }
}

// The options of `register` that Fastify itself reads.
const FASTIFY_OPTIONS = new Set(['prefix', 'logLevel', 'logSerializers'])

/** Checks the options. Throws FST_WEBSOCK_UNKNOWN_OPTION or FST_WEBSOCK_INVALID_OPTION. */
export function checkOptions (given: AsyncApiOptions): AsyncApiOptions {
  for (const [name, value] of Object.entries(given)) {
    if (FASTIFY_OPTIONS.has(name) || value === undefined) continue
    const rule = Object.hasOwn(RULES, name) ? RULES[name as keyof AsyncApiOptions] : undefined
    const where = 'of fastify-websock/asyncapi'
    if (rule === undefined) {
      throw new FST_WEBSOCK_UNKNOWN_OPTION(name, where, Object.keys(RULES).join(', '))
    }
    if (rule.fits(value)) continue
    const shown = inspect(value, { depth: 1, breakLength: Infinity }).slice(0, 80)
    throw new FST_WEBSOCK_INVALID_OPTION(`\`${name}\` ${where}`, rule.words, shown)
  }
  return given
}

function isRecord (value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** An object whose keys AsyncAPI allows and whose values fit. */
function isMap (
  value: unknown,
  fits: (item: Readonly<Record<string, unknown>>) => boolean
): boolean {
  return (
    isRecord(value) &&
    Object.entries(value).every(
      ([key, item]) => /^[\w.-]+$/.test(key) && isRecord(item) && fits(item)
    )
  )
}

function isTextOrLess (value: unknown): boolean {
  return value === undefined || typeof value === 'string'
}

function isFunction (value: unknown): boolean {
  return typeof value === 'function'
}
