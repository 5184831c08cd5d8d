/** A validation function as Fastify's validator compilers make them: `false` and `.errors`, or `{ error }`, or `{ value }`. */
export interface ValidateFunction {
  (data: unknown): unknown
  errors?: ReadonlyArray<{ readonly instancePath?: string, readonly message?: string }> | null
}

/** The compilers that a route's message schemas go through. Each throws when a schema is none. */
export interface MessageCompilers {
  /** Leaves what it checks as it is. */
  readonly validator: (schema: object) => ValidateFunction
  /** Also removes what the schema does not name; may change what it is given. */
  readonly stripper: (schema: object) => ValidateFunction
  readonly serializer: (schema: object) => (message: unknown) => string
}
