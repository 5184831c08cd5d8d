/** The document in the form that the page uses. */
export class Model {
  constructor (document) {
    this.document = document
    const operations = Object.values(document.operations ?? {})
    this.channels = Object.entries(document.channels ?? {}).map(([id, channel]) => {
      const ofChannel = (action) =>
        operations.filter(
          (operation) => operation.action === action && nameOf(operation.channel) === id
        )
      const messagesOf = (action) =>
        ofChannel(action).flatMap(({ messages }) =>
          messages.map((reference) => {
            const key = nameOf(reference)
            return { key, action, ...channel.messages[key] }
          })
        )
      const [first] = operations.filter((operation) => nameOf(operation.channel) === id)
      return {
        id,
        ...channel,
        receive: messagesOf('receive'),
        send: messagesOf('send'),
        security: first?.security ?? [],
        note: first?.description
      }
    })
    this.schemas = Object.entries(document.components?.schemas ?? {})
  }

  /** Follows references. Returns the schema, or an empty one. */
  resolve (schema) {
    let current = schema
    for (let i = 0; i < 100 && isObject(current) && typeof current.$ref === 'string'; i++) {
      current = this.#at(current.$ref)
    }
    return current ?? {}
  }

  resolveSecurity (scheme) {
    return typeof scheme.$ref === 'string'
      ? { name: nameOf(scheme), ...this.#at(scheme.$ref) }
      : scheme
  }

  #at (reference) {
    return reference
      .replace(/^#\//, '')
      .split('/')
      .reduce(
        (value, part) =>
          isObject(value) && Object.hasOwn(value, unescape(part))
            ? value[unescape(part)]
            : undefined,
        this.document
      )
  }
}

export function isObject (value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The last part of a reference. */
export function nameOf ({ $ref }) {
  return unescape($ref.split('/').at(-1))
}

function unescape (part) {
  return decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~')
}
