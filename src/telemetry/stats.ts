import type { InvalidMessage } from '../connection/handler.ts'
import type { TerminateReason } from '../connection/result.ts'
import type { CallbackMeter } from './callback-meter.ts'
import type { ObservedConnection } from './observed.ts'
import type { Metered, RouteTelemetry } from './route-telemetry.ts'
import type { Telemetry } from './telemetry.ts'
import type { WatchList } from './watch-lists.ts'

/**
 * The result of `app.websock.stats()`. The counts cover this process since the plugin was
 * registered.
 */
export interface WebsockStats {
  /** Upgrades in progress: not answered yet, or refused and the socket is not closed yet. */
  readonly upgradesPending: number
  /**
   * Upgrades refused before a websocket route was found, by the same keys as `refused` of a route.
   */
  readonly upgradesRefused: Readonly<Record<string, number>>
  /** The counts of each route, by its declared URL. */
  readonly routes: Readonly<Record<string, RouteStats>>
  /** Connections whose reading is paused. `first`: those paused for the longest time. */
  readonly heldReaders: WatchedStats
  /**
   * Connections that have exceeded `maxBufferedBytes`, until half of it has been sent. `first`:
   * those slow for the longest time.
   */
  readonly slowPeers: WatchedStats
  /** Mailboxes that have held 16 letters, until they are empty. `first`: the longest. */
  readonly longMailboxes: WatchedStats
  readonly topics: number
  /** Subscriptions of connections and listeners. */
  readonly subscriptions: number
  readonly presence: PresenceStats
  /** Undefined without an engine. */
  readonly engine: EngineStats | undefined
}

type Counts = Readonly<Record<string, number>>

export interface RouteStats {
  /**
   * `opening`: `init` has not returned. `closing`: the end has begun, and `terminate` has not
   * settled or the socket is not closed.
   */
  readonly connections: {
    readonly opening: number
    readonly open: number
    readonly closing: number
  }
  /** Upgrades answered with 101. */
  readonly accepted: number
  /**
   * Upgrades answered otherwise, by the code of the error, or by the status when there is no code.
   */
  readonly refused: Readonly<Record<string, number>>
  /** Connections that have ended, by the type of the reason and the close code. */
  readonly closed: { readonly [Type in TerminateReason['type']]?: Counts }
  /** Total duration of the connections that have ended. */
  readonly closedMs: number
  /** Complete data messages. */
  readonly messagesReceived: number
  readonly messagesSent: number
  /** Bytes of the sockets after the upgrade: frames with their headers, in compressed form. */
  readonly bytesReceived: number
  readonly bytesSent: number
  /** Messages that cannot be decoded, or do not match the schema. */
  readonly messagesRefused: Readonly<Record<InvalidMessage['kind'], number>>
  /** Messages dropped with `slowPeer: 'drop'`, or by a full mailbox with `slowPeer: 'wait'`. */
  readonly messagesDropped: number
  /** Infos dropped with `infoOverflow: 'drop'`. */
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
  /** Only callbacks that were called or have failed. */
  readonly callbacks: Readonly<Partial<Record<Metered, CallbackStats>>>
}

export interface CallbackStats {
  readonly calls: number
  /** Logged failures: a throw, a rejection, an invalid result, or an unsendable message. */
  readonly failures: number
  /**
   * Time from the call until the callback has returned or its promise has settled, including
   * decoding and validation of the message. Of more than 256 calls a second, one in 64 is timed and
   * counts for 64.
   */
  readonly ms: number
}

export interface WatchedStats {
  readonly count: number
  /** At most ten of them. */
  readonly first: readonly WatchedConnection[]
}

export interface WatchedConnection {
  readonly id: string
  readonly route: string
  /** How long the connection has been listed. */
  readonly ms: number
  /** Number of letters that wait in its mailbox. */
  readonly letters: number
  /** Number of bytes that wait to be sent. */
  readonly bufferedBytes: number
}

export interface TopicStats {
  readonly topics: number
  readonly subscriptions: number
  readonly presence: PresenceStats
  readonly engine: EngineStats | undefined
}

export interface PresenceStats {
  /** Entries of this node, and of other nodes as far as this node knows them. */
  readonly here: number
  readonly elsewhere: number
  /** Known nodes, including this one. */
  readonly nodes: number
}

export interface EngineStats {
  readonly name: string
  readonly connected: boolean
  /** The result of `app.websock.ready()`. */
  readonly ready: boolean
  /**
   * Wanted topics at the broker, including two of the library itself, and those of them that are
   * not subscribed.
   */
  readonly topics: number
  readonly topicsMissing: number
  /** How often the broker was lost, or could not be reached at the start. */
  readonly outages: number
  /** How often subscriptions were restored and subscribers were notified of a gap. */
  readonly gaps: number
  readonly lostPublications: number
}

const MAX_WATCHED = 10

/**
 * Builds the result of `stats()`. The cost depends on the number of routes and watched connections,
 * not on the number of all connections.
 */
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

/** Returns the connections with the longest mailboxes. The list is kept sorted. */
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
