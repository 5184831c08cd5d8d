import type { FastifySchema, RouteOptions } from 'fastify'

/** A JSON Schema (draft 07) in a document. Its references lead to `components.schemas`. */
export type DocumentSchema = Readonly<Record<string, unknown>>

export interface Reference {
  readonly $ref: string
}

export interface AsyncApiTag {
  readonly name: string
  readonly description?: string
}

export interface AsyncApiInfo {
  readonly title: string
  readonly version: string
  readonly description?: string
  readonly termsOfService?: string
  readonly contact?: { readonly name?: string, readonly url?: string, readonly email?: string }
  readonly license?: { readonly name: string, readonly url?: string }
  readonly externalDocs?: { readonly url: string, readonly description?: string }
  readonly tags?: readonly AsyncApiTag[]
}

/** An AsyncAPI Server Object: `{ host: 'example.com', protocol: 'wss' }`. */
export interface AsyncApiServer {
  readonly host: string
  readonly protocol: string
  readonly pathname?: string
  readonly title?: string
  readonly summary?: string
  readonly description?: string
  readonly [more: string]: unknown
}

/** An AsyncAPI Security Scheme Object: `{ type: 'httpApiKey', in: 'cookie', name: 'session' }`. */
export interface AsyncApiSecurityScheme {
  readonly type: string
  readonly description?: string
  readonly [more: string]: unknown
}

export interface AsyncApiParameter {
  readonly description?: string
  readonly enum?: readonly string[]
  readonly default?: string
  readonly examples?: readonly string[]
  /** The schema that the server validates with. AsyncAPI 3 has no field for it. */
  readonly 'x-schema'?: DocumentSchema
  /** The parameter and the slash before it are optional (`/:name?`). */
  readonly 'x-optional'?: true
  /** The value may contain slashes (`*`). */
  readonly 'x-wildcard'?: true
}

export interface AsyncApiMessage {
  readonly name: string
  readonly title?: string
  readonly summary?: string
  readonly description?: string
  readonly deprecated?: true
  readonly contentType: string
  readonly payload: DocumentSchema
  readonly examples?: ReadonlyArray<{ readonly payload: unknown }>
  /** The message is sent in binary frames. Without it, in text frames. */
  readonly 'x-opcode'?: 'binary'
}

export interface AsyncApiWsBinding {
  readonly method: 'GET'
  readonly query?: DocumentSchema
  readonly headers?: DocumentSchema
  readonly bindingVersion: '0.1.0'
}

export interface AsyncApiChannel {
  readonly address: string
  readonly title?: string
  readonly summary?: string
  readonly description?: string
  readonly servers?: readonly Reference[]
  readonly parameters?: Readonly<Record<string, AsyncApiParameter>>
  readonly messages: Readonly<Record<string, AsyncApiMessage>>
  readonly tags?: readonly AsyncApiTag[]
  readonly bindings: { readonly ws: AsyncApiWsBinding }
}

export interface AsyncApiOperation {
  /** Seen from the server: clients send the messages of `receive`. */
  readonly action: 'receive' | 'send'
  readonly channel: Reference
  readonly messages: readonly Reference[]
  readonly summary?: string
  readonly description?: string
  readonly security?: ReadonlyArray<AsyncApiSecurityScheme | Reference>
  readonly tags?: readonly AsyncApiTag[]
}

/** An AsyncAPI 3.1.0 document. */
export interface AsyncApiDocument {
  readonly asyncapi: '3.1.0'
  readonly info: AsyncApiInfo
  readonly defaultContentType: 'application/json'
  readonly servers?: Readonly<Record<string, AsyncApiServer>>
  readonly channels: Readonly<Record<string, AsyncApiChannel>>
  readonly operations: Readonly<Record<string, AsyncApiOperation>>
  readonly components: {
    readonly schemas: Readonly<Record<string, DocumentSchema>>
    readonly securitySchemes?: Readonly<Record<string, AsyncApiSecurityScheme>>
  }
}

/** The argument of `transform` and `hide`. */
export interface DescribedRoute {
  readonly schema: FastifySchema
  /** The route's URL with all prefixes, in Fastify's syntax. */
  readonly url: string
  readonly route: RouteOptions
}

export interface AsyncApi {
  (options?: { readonly yaml?: false }): AsyncApiDocument
  (options: { readonly yaml: true }): string
  (options: { readonly yaml: boolean }): AsyncApiDocument | string
}

// Fields with the types of @fastify/swagger, so that an app can load both plugins.
declare module 'fastify' {
  interface FastifySchema {
    /** Leaves the route out of the document. */
    hide?: boolean
    deprecated?: boolean
    tags?: readonly string[]
    description?: string
    summary?: string
    security?: ReadonlyArray<{ [securityLabel: string]: readonly string[] }>
    operationId?: string
  }

  interface FastifyInstance {
    /** The AsyncAPI document of the websocket routes. */
    asyncapi: AsyncApi
  }
}
