import type { InvalidMessage } from '../connection/handler.ts'
import type { TerminateReason } from '../connection/result.ts'
import type { CallbackMeter } from './callback-meter.ts'
import type { ObservedConnection } from './observed.ts'
import type { Metered, RouteTelemetry } from './route-telemetry.ts'
import type { Telemetry } from './telemetry.ts'
import type { WatchList } from './watch-lists.ts'

/**
 * The result of `app.websock.stats()`. Counts are of this process, since the plugin was registered.
 */
export interface WebsockStats {
  /** Upgrades that are under way: not answered yet, or whose socket is not closed yet. */
  readonly upgradesPending: number
  /** Upgrades refused before a websocket route was found: as `refused` of a route. */
  readonly upgradesRefused: Readonly<Record<string, number>>
  /** By the URL as declared. */
  readonly routes: Readonly<Record<string, RouteStats>>
  /** Connections whose socket is not read: how many, and those that wait for the longest time. */
  readonly heldReaders: WatchedStats
  /** Connections that have exceeded `maxBufferedBytes`, until half of that has left. */
  readonly slowPeers: WatchedStats
  /** Mailboxes that 16 letters have waited in, until they are empty: the longest. */
  readonly longMailboxes: WatchedStats
  readonly topics: number
  /** Of connections and listeners. */
  readonly subscriptions: number
  readonly presence: PresenceStats
  /** Undefined without an engine. */
  readonly engine: EngineStats | undefined
}

type Counts = Readonly<Record<string, number>>

export interface RouteStats {
  /**
   * `opening`: `init` has not returned. `closing`: until `terminate` has ended and the socket is
   * closed.
   */
  readonly connections: {
    readonly opening: number
    readonly open: number
    readonly closing: number
  }
  /** Upgrades answered with 101. */
  readonly accepted: number
  /** Upgrades answered otherwise: by the code of the error, or the status where there is none. */
  readonly refused: Readonly<Record<string, number>>
  /** Connections that have ended: by the type of the reason, then by the close code. */
  readonly closed: { readonly [Type in TerminateReason['type']]?: Counts }
  /** How long those lasted, together. */
  readonly closedMs: number
  /** Whole data messages. */
  readonly messagesReceived: number
  readonly messagesSent: number
  /** Bytes of the sockets after the upgrade: frames with their headers, as compressed. */
  readonly bytesReceived: number
  readonly bytesSent: number
  /** Messages that cannot be decoded, or do not match. */
  readonly messagesRefused: Readonly<Record<InvalidMessage['kind'], number>>
  /** `slowPeer: 'drop'`, and messages that found a mailbox full with `slowPeer: 'wait'`. */
  readonly messagesDropped: number
  /** `infoOverflow: 'drop'` */
  readonly infosDropped: number
  /**
   * `dead`: heartbeat. `idle`: `idleTimeoutMs`. `callback`: `initTimeoutMs`, `terminateTimeoutMs`.
   * `close`: `closeTimeoutMs`.
   */
  readonly timeouts: {
    readonly dead: number
    readonly idle: number
    readonly callback: number
    readonly close: number
  }
  /** How often reading was paused, and how often a peer became slow. */
  readonly readingPaused: number
  readonly slowPeers: number
  /** Those that were called, or have failed. */
  readonly callbacks: Readonly<Partial<Record<Metered, CallbackStats>>>
}

export interface CallbackStats {
  readonly calls: number
  /** Logged as such: a throw, a rejection, an invalid result, an unsendable message. */
  readonly failures: number
  /**
   * From the call until it has returned or its promise has settled, with decoding and validation of
   * the message. With more than 256 calls a second one call in 16 is timed, and counts for all.
   */
  readonly ms: number
}

export interface WatchedStats {
  readonly count: number
  /** Ten of them at most. */
  readonly first: readonly WatchedConnection[]
}

export interface WatchedConnection {
  readonly id: string
  readonly route: string
  /** For how long it has been listed. */
  readonly ms: number
  /** Letters that wait in its mailbox. */
  readonly letters: number
  /** Bytes that wait to be sent. */
  readonly bufferedBytes: number
}

export interface TopicStats {
  readonly topics: number
  readonly subscriptions: number
  readonly presence: PresenceStats
  readonly engine: EngineStats | undefined
}

export interface PresenceStats {
  /** Entries of this node, and of the others as far as this one knows them. */
  readonly here: number
  readonly elsewhere: number
  /** Nodes that are known, with this one. */
  readonly nodes: number
}

export interface EngineStats {
  readonly name: string
  readonly connected: boolean
  /** What `app.websock.ready()` says. */
  readonly ready: boolean
  /** At the broker: topics, with two of the library's own, and how many are not subscribed. */
  readonly topics: number
  readonly topicsMissing: number
  /** How often the broker was lost, or was not there at the start. */
  readonly outages: number
  /** How often subscriptions were restored, and subscribers were told of a gap. */
  readonly gaps: number
  readonly lostPublications: number
}

const MAX_WATCHED = 10

/** Its cost grows with routes and watched connections, not with all connections. */
export function buildStats (
  { routes, lists, unrouted }: Telemetry,
  upgradesPending: number,
  topics: TopicStats
): WebsockStats {
  return {
    upgradesPending,
    upgradesRefused: Object.fromEntries(unrouted.entries()),
    routes: Object.fromEntries(Array.from(routes, (route) => [route.url, routeStats(route)])),
    heldReaders: oldestOf(lists.held),
    slowPeers: oldestOf(lists.slow),
    longMailboxes: longestOf(lists.long),
    ...topics
  }
}

function routeStats (route: RouteTelemetry): RouteStats {
  const { opening, open, closing, accepted, refused, closes } = route
  return {
    connections: { opening, open, closing },
    accepted,
    refused: Object.fromEntries(refused.entries()),
    closed: Object.fromEntries(
      Array.from(closes, ([type, codes]) => [type, Object.fromEntries(codes.entries())])
    ),
    closedMs: route.connectionMs,
    messagesReceived: route.messagesReceived,
    messagesSent: route.messagesSent,
    bytesReceived: route.bytesReceived,
    bytesSent: route.bytesSent,
    messagesRefused: { ...route.invalid },
    messagesDropped: route.messagesDropped,
    infosDropped: route.infosDropped,
    timeouts: { ...route.timeouts },
    readingPaused: route.readingPaused,
    slowPeers: route.slowPeers,
    callbacks: Object.fromEntries(
      Object.entries(route.callbacks).filter(isUsed).map(([name, { calls, failures, ms }]) =>
        [name, { calls, failures, ms }])
    )
  }
}

function isUsed ([, { calls, failures }]: [string, CallbackMeter]): boolean {
  return calls > 0 || failures > 0
}

function oldestOf (list: WatchList): WatchedStats {
  const first: WatchedConnection[] = []
  for (const [connection, since] of list.entries()) {
    if (first.length === MAX_WATCHED) break
    first.push(describe(connection, since))
  }
  return { count: list.size, first }
}

/** Keeps the longest so far, in a list that is sorted when it is full. */
function longestOf (list: WatchList): WatchedStats {
  const longest: Array<[ObservedConnection, since: number, letters: number]> = []
  for (const [connection, since] of list.entries()) {
    const letters = connection.waiting
    if (longest.length === MAX_WATCHED && letters <= (longest.at(-1)?.[2] ?? 0)) continue
    longest.push([connection, since, letters])
    longest.sort(([, , one], [, , other]) => other - one)
    if (longest.length > MAX_WATCHED) longest.pop()
  }
  return {
    count: list.size,
    first: longest.map(([connection, since]) => describe(connection, since))
  }
}

function describe (connection: ObservedConnection, since: number): WatchedConnection {
  const { id, group, waiting, bufferedBytes } = connection
  const ms = Math.round(performance.now() - since)
  return { id, route: group.url, ms, letters: waiting, bufferedBytes }
}
