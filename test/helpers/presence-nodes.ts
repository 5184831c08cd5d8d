import { deepStrictEqual } from 'node:assert'
import { setImmediate as turn } from 'node:timers/promises'
import type { PresenceEntry } from '../../src/index.ts'
import { Presence } from '../../src/pubsub/presence.ts'

/** Nodes whose time is moved by hand, and what is on its way between each two of them. */
export class Cluster {
  readonly #mail = new Map<string, Array<{ from: string, body: unknown }>>()
  readonly #cut = new Set<string>()
  readonly nodes = new Map<string, Node>()
  #started = 0

  start (): Node {
    const node = new Node(`n${++this.#started}`, (body) => {
      for (const to of this.nodes.keys()) {
        // As it would come out of the broker.
        if (to !== node.name && !this.isCut(node.name, to)) {
          this.#box(node.name, to).push({ from: node.name, body: JSON.parse(JSON.stringify(body)) })
        }
      }
    })
    this.nodes.set(node.name, node)
    node.presence.greet()
    return node
  }

  /** Without goodbye. */
  kill (node: Node): void { this.nodes.delete(node.name) }

  isCut (a: string, b: string): boolean { return this.#cut.has(pair(a, b)) }
  cut (a: Node, b: Node): void { this.#cut.add(pair(a.name, b.name)) }
  heal (): void { this.#cut.clear() }

  /** Some of what is on its way to one node arrives, in each sender's order; `lost`: never. */
  deliver (to: Node, count = Infinity, lost = false): void {
    for (const from of [...this.#mail.keys()]) {
      if (!from.endsWith(`>${to.name}`)) continue
      const arrived = this.#mail.get(from)?.splice(0, count) ?? []
      if (!lost) for (const { from: sender, body } of arrived) to.presence.receive(sender, body)
    }
  }

  /** All ticks, and all that is sent arrives. */
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
  /** What the diffs told make up. */
  readonly told = new Map<string, PresenceEntry>()
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
          deepStrictEqual(this.told.get(id(entry)), entry, 'who leaves was there')
          this.told.delete(id(entry))
        }
        for (const entry of joins) {
          deepStrictEqual(this.told.has(id(entry)), false, 'who joins was not there')
          this.told.set(id(entry), entry)
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

/** What each living node says of itself, as everybody is to see it. */
export function union (cluster: Cluster, topic: string): string[] {
  return [...cluster.nodes.values()].flatMap(({ tracked }) => [...tracked.values()])
    .filter((entry) => entry.topic === topic)
    .map(show)
    .sort()
}

export function show ({ key, address, meta }: Omit<PresenceEntry, 'topic'>): string {
  return `${key} ${address} ${JSON.stringify(meta)}`
}
