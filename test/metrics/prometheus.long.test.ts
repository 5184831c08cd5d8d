import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { skipWithout } from '../helpers/browser.ts'
import { startRedis } from '../helpers/brokers.ts'
import { connect, refused } from '../helpers/client.ts'
import { startExample } from '../helpers/example.ts'
import { startPrometheus, untilAnswered } from '../helpers/prometheus.ts'

const skip = skipWithout('prometheus') || skipWithout('redis-server')
const docs = readFileSync(join(__dirname, '../../docs/observing.md'), 'utf8')

void t.test('the queries of docs/observing.md answer the five questions', { skip }, async (t) => {
  const redis = await startRedis(t)
  const server = await startExample(t, 0, { REDIS_URL: `redis://127.0.0.1:${redis.port}` })
  const prometheus = await startPrometheus(t, server.port)
  const up = async (query: string, wanted: (value: number) => boolean): Promise<void> => {
    const [series] = await untilAnswered(prometheus, query, ([first]) =>
      first !== undefined && wanted(first.value))
    t.ok(series, `${query} is ${series?.value}`)
  }
  await up('websocket_engine_ready', (value) => value === 1)

  // The load: three clients chat, three echo, and in each round one leaves and one is refused.
  const chatters = await Promise.all(Array.from({ length: 3 }, (_, n) =>
    connect(t, server.ws(`/ws/chat/lobby?nick=n${n}`))))
  const echoes = await Promise.all(Array.from(
    { length: 3 },
    () => connect(t, server.ws('/ws/echo'))
  ))
  const over = new AbortController()
  const load = async (): Promise<void> => {
    for (let round = 0; !over.signal.aborted; round++) {
      for (const chatter of chatters) chatter.send({ event: 'say', text: `round ${round}` })
      for (const echo of echoes) echo.send('hello')
      const leaver = await connect(t, server.ws('/ws/echo'))
      leaver.close(4000 + (round % 2))
      await leaver.closed
      await refused(server.ws('/ws/echo'), { origin: 'https://elsewhere.example' })
      await wait(50)
    }
  }
  const underLoad = load()

  // What the answers to some queries must contain. No answer may be empty.
  const answers: Readonly<Record<string, RegExp>> = {
    'sum by (route, state) (websocket_connections)': /"state":"open".*"value":3/,
    websocket_connections_accepted_total: /"route":"\/ws\/echo"/,
    'websocket_connections_closed_total[5m]': /"code":"4000"/,
    websocket_upgrades_refused_total: /FST_WEBSOCK_ORIGIN_REFUSED/,
    'topk(5,': /"callback":"handleIn"/
  }
  const queries = [...docs.matchAll(/```promql\n([^]*?)```/g)].map(([, query]) => query ?? '')
  t.ok(queries.length > 12)
  for (const query of queries) {
    const [, wanted = /./] = Object.entries(answers).find(([part]) => query.includes(part)) ?? []
    const isWanted = (series: unknown): boolean => wanted.test(JSON.stringify(series).slice(1, -1))
    const series = await untilAnswered(prometheus, query, isWanted)
    t.ok(series.every(({ value }) => Number.isFinite(value)), query)
  }
  over.abort()
  await underLoad

  await redis.kill()
  await up('websocket_engine_ready', (value) => value === 0)
  await up('sum by (engine) (increase(websocket_engine_outages_total[5m]))', (value) => value > 0)
})
