import { deepStrictEqual } from 'node:assert'
import { setImmediate as turn } from 'node:timers/promises'
import type { PresenceEntry } from '../../src/index.ts'
import { Presence } from '../../src/pubsub/presence.ts'

/** Nodes whose time the test advances, and the messages that are on their way between them. */
export class Cluster {
  readonly #mail = new Map<string, Array<{ from: string, body: unknown }>>()
  readonly #cut = new Set<string>()
  readonly nodes = new Map<string, Node>()
  #started = 0

  start (): Node {
    const node = new Node(`n${++this.#started}`, (body) => {
      for (const to of this.nodes.keys()) {
        // A copy, as a broker would deliver it.
        if (to !== node.name && !this.isCut(node.name, to)) {
          this.#box(node.name, to).push({ from: node.name, body: JSON.parse(JSON.stringify(body)) })
        }
      }
    })
    this.nodes.set(node.name, node)
    node.presence.greet()
    return node
  }

  /** Removes a node, which sends no goodbye. */
  kill (node: Node): void { this.nodes.delete(node.name) }

  isCut (a: string, b: string): boolean { return this.#cut.has(pair(a, b)) }
  cut (a: Node, b: Node): void { this.#cut.add(pair(a.name, b.name)) }
  heal (): void { this.#cut.clear() }

  /**
   * Delivers the next `count` messages of each sender to a node. `lost`: drops them instead.
   */
  deliver (to: Node, count = Infinity, lost = false): void {
    for (const from of [...this.#mail.keys()]) {
      if (!from.endsWith(`>${to.name}`)) continue
      const arrived = this.#mail.get(from)?.splice(0, count) ?? []
      if (!lost) for (const { from: sender, body } of arrived) to.presence.receive(sender, body)
    }
  }

  /** Each second all nodes tick, and all messages arrive. */
  async pass (seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second++) {
      for (const node of this.nodes.values()) node.presence.tick()
      for (let round = 0; round < 4; round++) {
        for (const node of this.nodes.values()) this.deliver(node)
        await turn()
      }
    }
  }

  #box (from: string, to: string): Array<{ from: string, body: unknown }> {
    const name = `${from}>${to}`
    const box = this.#mail.get(name) ?? []
    this.#mail.set(name, box)
    return box
  }
}

export class Node {
  readonly presence: Presence
  /** The entries that result from the diffs. */
  readonly reported = new Map<string, PresenceEntry>()
  readonly diffs: string[] = []
  readonly tracked = new Map<
    string,
    { topic: string, key: string, address: string, meta: unknown }
  >()

  constructor (readonly name: string, sendToNodes: (body: unknown) => void) {
    this.presence = new Presence({
      node: name,
      hasEngine: true,
      presenceIncomplete: () => {},
      sendToNodes,
      presenceChanged: ({ topic, joins, leaves }) => {
        const id = ({ key, address }: PresenceEntry): string => `${topic} ${key} ${address}`
        for (const entry of leaves) {
          deepStrictEqual(this.reported.get(id(entry)), entry, 'an entry that leaves was there')
          this.reported.delete(id(entry))
        }
        for (const entry of joins) {
          deepStrictEqual(this.reported.has(id(entry)), false, 'an entry that joins was not there')
          this.reported.set(id(entry), entry)
        }
        this.diffs.push(
          `${topic} +${joins.map(({ key, meta }) => `${key}=${JSON.stringify(meta)}`).join()} ` +
            `-${leaves.map(({ key }) => key).join()}`
        )
      }
    })
  }

  track (topic: string, key: string, connection: number, meta: unknown): void {
    const address = `${this.name}.${connection}`
    this.presence.track(topic, key, meta, address)
    this.tracked.set(`${topic} ${key} ${address}`, { topic, key, address, meta })
  }

  untrack (topic: string, key: string, connection: number): void {
    const address = `${this.name}.${connection}`
    this.presence.untrack(topic, key, address)
    this.tracked.delete(`${topic} ${key} ${address}`)
  }

  leave (connection: number): void {
    const address = `${this.name}.${connection}`
    this.presence.untrackAll(address)
    for (const [id, entry] of this.tracked) if (entry.address === address) this.tracked.delete(id)
  }

  keys (topic: string): string[] { return this.presence.of(topic).map(({ key }) => key).sort() }
}

function pair (a: string, b: string): string {
  return [a, b].sort().join()
}

/** The entries that the living nodes have tracked, which each node must have. */
export function union (cluster: Cluster, topic: string): string[] {
  return [...cluster.nodes.values()].flatMap(({ tracked }) => [...tracked.values()])
    .filter((entry) => entry.topic === topic)
    .map(show)
    .sort()
}

export function show ({ key, address, meta }: Omit<PresenceEntry, 'topic'>): string {
  return `${key} ${address} ${JSON.stringify(meta)}`
}
