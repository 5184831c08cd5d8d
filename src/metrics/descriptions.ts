import type { RouteStats, WebsockStats } from '../telemetry/stats.ts'

type Sample = readonly [value: number, ...labels: string[]]

/** One metric. A sample holds its value, then the values of its labels. */
export interface Metric {
  readonly type: 'counter' | 'gauge'
  /** The name without the prefix. */
  readonly name: string
  readonly help: string
  readonly labels: readonly string[]
  readonly read: (stats: WebsockStats) => Sample[]
}

type Counts = Readonly<Record<string, number>>

/*
 * Every metric, named by the conventions of Prometheus: `_total` for counters, base units. Label
 * values are bounded: declared routes, close codes, error codes, names of callbacks.
 * docs/observing.md has a row for each, and test/metrics/metrics.test.ts holds the two against each
 * other.
 */
export const METRICS: readonly Metric[] = [
  ofRoutes('gauge', 'connections', 'Connections by state: opening, open, closing', 'state',
    ({ connections }) => connections),
  ofRoutes('counter', 'connections_accepted_total', 'Upgrades answered with 101', '',
    ({ accepted }) => accepted),
  {
    type: 'counter',
    name: 'connections_closed_total',
    help: 'Connections that have ended, by the type of the reason and the close code',
    labels: ['route', 'type', 'code'],
    read: ({ routes }) => entriesOf(routes).flatMap(([route, { closed }]) =>
      entriesOf(closed).flatMap(([type, codes]) =>
        entriesOf(codes ?? {}).map(([code, count]): Sample => [count, route, type, code])))
  },
  ofRoutes('counter', 'connections_closed_seconds_total',
    'Total duration of the connections that have ended', '', ({ closedMs }) => closedMs / 1000),
  {
    type: 'counter',
    name: 'upgrades_refused_total',
    help: 'Upgrades not answered with 101, by the code of the error or the status',
    labels: ['route', 'reason'],
    read: ({ routes, upgradesRefused }) =>
      [...entriesOf(routes), ['', { refused: upgradesRefused }] as const].flatMap(
        ([route, { refused }]) =>
          entriesOf(refused).map(([reason, count]): Sample => [count, route, reason]))
  },
  ofApp('gauge', 'upgrades_pending', 'Upgrades in progress', (stats) =>
    [[stats.upgradesPending]]),
  ofRoutes('counter', 'messages_received_total', 'Complete data messages received', '',
    ({ messagesReceived }) => messagesReceived),
  ofRoutes('counter', 'messages_sent_total', 'Messages written to the socket', '',
    ({ messagesSent }) => messagesSent),
  ofRoutes('counter', 'received_bytes_total', 'Bytes read from sockets after the upgrade', '',
    ({ bytesReceived }) => bytesReceived),
  ofRoutes('counter', 'sent_bytes_total', 'Bytes written to sockets after the upgrade', '',
    ({ bytesSent }) => bytesSent),
  ofRoutes('counter', 'messages_refused_total',
    'Messages refused, by kind: opcode, undecodable, mismatch', 'kind',
    ({ messagesRefused }) => messagesRefused),
  ofRoutes('counter', 'messages_dropped_total', 'Messages dropped for slow peers', '',
    ({ messagesDropped }) => messagesDropped),
  ofRoutes('counter', 'infos_dropped_total', 'Infos dropped because the mailbox was full', '',
    ({ infosDropped }) => infosDropped),
  ofRoutes('counter', 'timeouts_total', 'Timeouts: dead, idle, callback, close', 'kind',
    ({ timeouts }) => timeouts),
  ofRoutes('counter', 'reads_paused_total', 'How often reading of a socket was paused', '',
    ({ readingPaused }) => readingPaused),
  ofRoutes('counter', 'slow_peers_total', 'How often a peer exceeded maxBufferedBytes', '',
    ({ slowPeers }) => slowPeers),
  ofApp('gauge', 'readers_held', 'Connections whose reading is paused', ({ heldReaders }) =>
    [[heldReaders.count]]),
  ofApp('gauge', 'peers_slow', 'Connections whose peer is slow', ({ slowPeers }) =>
    [[slowPeers.count]]),
  ofApp('gauge', 'mailboxes_long', 'Mailboxes that have held 16 letters and are not empty',
    ({ longMailboxes }) => [[longMailboxes.count]]),
  ofApp('gauge', 'mailbox_letters_max', 'Letters in the longest mailbox, 0 when none is long',
    ({ longMailboxes }) => [[longMailboxes.first[0]?.letters ?? 0]]),
  ofCallbacks('callbacks_total', 'Calls of callbacks', ({ calls }) => calls),
  ofCallbacks('callback_seconds_total', 'Time of callbacks', ({ ms }) => ms / 1000),
  ofCallbacks('callback_failures_total', 'Failures of callbacks', ({ failures }) => failures),
  ofApp('gauge', 'topics', 'Topics with subscribers', ({ topics }) => [[topics]]),
  ofApp('gauge', 'subscriptions', 'Subscriptions to topics', ({ subscriptions }) =>
    [[subscriptions]]),
  {
    type: 'gauge',
    name: 'presence_entries',
    help: 'Presence entries of this node (here) and of other nodes (elsewhere)',
    labels: ['origin'],
    read: ({ presence: { here, elsewhere } }) => [[here, 'here'], [elsewhere, 'elsewhere']]
  },
  ofEngine('gauge', 'engine_connected', 'The broker is connected', ({ connected }) => +connected),
  ofEngine('gauge', 'engine_ready',
    'The broker is connected, accepts publications, and has all subscriptions',
    ({ ready }) => +ready),
  ofEngine('gauge', 'engine_topics_missing', 'Topics that are not subscribed at the broker',
    ({ topicsMissing }) => topicsMissing),
  ofEngine('counter', 'engine_outages_total', 'How often the broker was lost',
    ({ outages }) => outages),
  ofEngine('counter', 'engine_gaps_total', 'How often subscribers were notified of a gap',
    ({ gaps }) => gaps),
  ofEngine('counter', 'engine_publications_lost_total',
    'Publications that did not reach the broker', ({ lostPublications }) => lostPublications)
]

/** A metric with one value for each route, or for each route and value of a second label. */
function ofRoutes (
  type: Metric['type'],
  name: string,
  help: string,
  label: string,
  read: (route: RouteStats) => number | Counts
): Metric {
  return {
    type,
    name,
    help,
    labels: label === '' ? ['route'] : ['route', label],
    read: ({ routes }) => entriesOf(routes).flatMap(([route, stats]) => {
      const found = read(stats)
      return typeof found === 'number'
        ? [[found, route] satisfies Sample]
        : entriesOf(found).map(([key, count]): Sample => [count, route, key])
    })
  }
}

function ofCallbacks (
  name: string,
  help: string,
  read: (callback: NonNullable<RouteStats['callbacks']['init']>) => number
): Metric {
  return ofRoutes('counter', name, help, 'callback', ({ callbacks }) =>
    Object.fromEntries(entriesOf(callbacks).flatMap(([callback, stats]) =>
      stats === undefined ? [] : [[callback, read(stats)]])))
}

function ofApp (
  type: Metric['type'],
  name: string,
  help: string,
  read: Metric['read']
): Metric {
  return { type, name, help, labels: [], read }
}

/**
 * A metric of the engine. It has a label, because prom-client reports a 0 for a metric without
 * labels, also when there is no engine.
 */
function ofEngine (
  type: Metric['type'],
  name: string,
  help: string,
  read: (engine: NonNullable<WebsockStats['engine']>) => number
): Metric {
  return {
    type,
    name,
    help,
    labels: ['engine'],
    read: ({ engine }) => engine === undefined ? [] : [[read(engine), engine.name]]
  }
}

function entriesOf<Value> (record: Readonly<Record<string, Value>>): Array<[string, Value]> {
  return Object.entries(record)
}
