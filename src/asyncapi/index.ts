export { asyncapi } from './asyncapi.ts'
export type { AsyncApiOptions } from './options.ts'
export type { BuildLocalReference } from './schema-book.ts'
export type {
  AsyncApi,
  AsyncApiChannel,
  AsyncApiDocument,
  AsyncApiInfo,
  AsyncApiMessage,
  AsyncApiOperation,
  AsyncApiParameter,
  AsyncApiSecurityScheme,
  AsyncApiServer,
  AsyncApiTag,
  AsyncApiWsBinding,
  DescribedRoute,
  DocumentSchema
} from './types.ts'
