declare const kTypes: unique symbol
/** A registered symbol, so that a topic of another copy of the package is recognized. */
const kTopic = Symbol.for('fastify-websock.topic')

/**
 * The name of a topic with the types of its messages and infos. Created by {@link topic}, and
 * accepted wherever a name is.
 */
export class Topic<out Message = unknown, out Info = unknown> {
  declare readonly [kTypes]: { readonly message: Message, readonly info: Info }
  readonly name: string
  readonly [kTopic] = true

  constructor (name: string) {
    this.name = name
    Object.freeze(this)
  }

  toString (): string {
    return this.name
  }
}

/** The types of one topic. A type that is left out is `never`: nothing of its kind can be sent. */
export interface TopicTypes {
  /** The messages of `broadcast`, which are sent to the clients. */
  Message?: unknown
  /** The infos of `publish`, which each subscriber's `handleInfo` receives. */
  Info?: unknown
}

/**
 * Creates a typed topic: `export const room = (id: string) => topic<{ Message: Said, Info: Tick
 * }>('room ' + id)`.
 *
 * Nothing is checked at run time. A name has 1 to 1 024 characters; an invalid name is refused
 * where it is used.
 */
export function topic<T extends TopicTypes = {}> (
  name: string
): Topic<T extends { Message: infer M } ? M : never, T extends { Info: infer I } ? I : never> {
  return new Topic(name)
}

/**
 * Returns the name of a topic that is given as a `Topic` or by its name. Other values are returned
 * unchanged.
 */
export function nameOfTopic (topic: string | Topic): string {
  const isTopic = typeof topic === 'object' && topic !== null && kTopic in topic
  return isTopic ? topic.name : topic as string
}
