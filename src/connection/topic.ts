declare const kTypes: unique symbol
/** The same in each copy of the package: a topic of another one is a topic, too. */
const kTopic = Symbol.for('fastify-websock.topic')

/**
 * A topic's name with the types of what goes over it. Made by {@link topic}; taken wherever a name
 * is.
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

/** The types of one topic. What is left out is never sent over it. */
export interface TopicTypes {
  /** Of `broadcast`: straight to the clients. */
  Message?: unknown
  /** Of `publish`: to each subscriber's `handleInfo`. */
  Info?: unknown
}

/**
 * A typed topic: `export const room = (id: string) => topic<{ Message: Said, Info: Tick }>('room '
 * + id)`.
 *
 * Nothing is checked at run time. A name has 1 to 1 024 characters; another one is refused where it
 * is used.
 */
export function topic<T extends TopicTypes = {}> (
  name: string
): Topic<T extends { Message: infer M } ? M : never, T extends { Info: infer I } ? I : never> {
  return new Topic(name)
}

/** The name of a topic, which may be given by its name. Other values are returned unchanged. */
export function nameOfTopic (topic: string | Topic): string {
  const isTopic = typeof topic === 'object' && topic !== null && kTopic in topic
  return isTopic ? topic.name : topic as string
}
