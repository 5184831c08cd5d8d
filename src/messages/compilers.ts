/**
 * A validation function of a Fastify validator compiler. Returns a boolean and sets `errors`, or
 * returns `{ error }` or `{ value }`.
 */
export interface ValidateFunction {
  (data: unknown): unknown
  /** Set by Ajv for a schema whose validation function returns promises. */
  readonly $async?: boolean
  errors?: ReadonlyArray<{ readonly instancePath?: string, readonly message?: string }> | null
}

/**
 * The compilers for the message schemas of a route. Each throws when it is given an invalid schema.
 */
export interface MessageCompilers {
  /** Compiles a validation function that does not change the message. */
  readonly validator: (schema: object) => ValidateFunction
  /** Compiles a function that serializes only the properties that the schema names. */
  readonly serializer: (schema: object) => (message: unknown) => string
  /**
   * True for JSON Schema. For other kinds of schema, such as zod, the validator returns the
   * stripped copy.
   */
  readonly jsonSchema: boolean
}
