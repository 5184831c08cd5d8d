/**
 * A validation function as Fastify's validator compilers make them: `false` and `.errors`, or `{
 * error }`, or `{ value }`.
 */
export interface ValidateFunction {
  (data: unknown): unknown
  /** Ajv's mark on a schema whose functions give promises. */
  readonly $async?: boolean
  errors?: ReadonlyArray<{ readonly instancePath?: string, readonly message?: string }> | null
}

/** The compilers that a route's message schemas go through. Each throws when a schema is none. */
export interface MessageCompilers {
  /** Leaves what it checks as it is. */
  readonly validator: (schema: object) => ValidateFunction
  /** Writes only what the schema names. */
  readonly serializer: (schema: object) => (message: unknown) => string
  /**
   * The schemas are JSON Schema. Of other kinds (zod, say) it is the validator that gives a
   * stripped copy.
   */
  readonly jsonSchema: boolean
}
