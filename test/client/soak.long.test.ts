// Clients behind proxies that cut connections at random, and a server that counts how often each
// message was handled. For a long run:
// `CLIENT_SOAK_SECONDS=600 npx tap --timeout=700 test/client/soak.long.test.ts`.
import { setTimeout as later } from 'node:timers/promises'
import t from 'tap'
import { WebSocket } from 'ws'
import { connect, type SendResult } from '../../src/client/index.ts'
import { typed } from '../../src/index.ts'
import { startProxy } from '../helpers/proxy.ts'
import { startServer } from '../helpers/server.ts'

const SECONDS = Number(process.env['CLIENT_SOAK_SECONDS'] ?? 20)
const CLIENTS = 5
/** The average time between two cuts, for each client. */
const CUT_EVERY_MS = 5000

interface FromClient { event: 'ask' | 'tell', client: number, n: number, ref?: string }
interface FromServer { event: 'answer' | 'told' | 'tick', n: number, ref?: string | undefined }

void t.test(
  'resolved requests ran once, no message arrived twice, unsent messages were reported',
  { timeout: (SECONDS + 60) * 1000 },
  async (t) => {
    /** How often each message of each client was handled. */
    const ran = new Map<string, number>()
    let ticks = 0
    const { port } = await startServer(
      t,
      (app) => {
        app.get('/', {
          schema: { websocket: { receive: typed<FromClient>(), send: typed<FromServer>() } },
          websocketHandler: {
            handleIn ({ event, client, n, ref }, _state, ws) {
              const key = `${client} ${event} ${n}`
              ran.set(key, (ran.get(key) ?? 0) + 1)
              // Each message of the server has its own number.
              return ws.push([
                { event: 'tick', n: ticks++ },
                event === 'ask' ? { event: 'answer', n, ref } : { event: 'told', n }
              ])
            }
          }
        })
      },
      { websock: { checkOrigin: false } }
    )

    const totals = {
      sent: 0,
      queued: 0,
      refused: 0,
      dropped: 0,
      told: 0,
      resolved: 0,
      rejected: 0,
      cuts: 0,
      opened: 0
    }
    const until = performance.now() + SECONDS * 1000

    const runClient = async (id: number): Promise<void> => {
      // One proxy for each client, so that clients are cut independently.
      const proxy = await startProxy(t, port)
      const seen = new Set<number>()
      const answered = new Set<number>()
      const sends = new Map<number, SendResult | 'dropped'>()
      const client = connect<{ send: FromClient, receive: FromServer }>(
        `ws://127.0.0.1:${proxy.port}/`,
        {
          WebSocket,
          firstWaitMs: 200,
          maxWaitMs: 1000,
          queue: {
            maxMessages: 10,
            policy: (['drop-oldest', 'drop-newest', 'refuse'] as const)[id % 3] ?? 'refuse'
          },
          onDrop: ({ n }) => {
            sends.set(n, 'dropped')
            totals.dropped++
          },
          onError: (error) => t.error(error)
        }
      )
      client.on('tick', ({ n }) => {
        if (seen.has(n)) t.fail(`message ${n} came twice`)
        seen.add(n)
      })
      client.on('told', () => {
        totals.told++
      })
      client.subscribe(({ status }) => {
        if (status === 'open') totals.opened++
      })
      const requests: Array<Promise<void>> = []
      const cutting = (async () => {
        while (performance.now() < until) {
          await later(
            Math.min(
              -Math.log(1 - Math.random()) * CUT_EVERY_MS,
              Math.max(0, until - performance.now())
            )
          )
          totals.cuts++
          proxy.cut()
        }
      })()
      for (let n = 0; performance.now() < until; n++) {
        const ask = n % 2 === 0
        if (ask) {
          requests.push(
            client.request({ event: 'ask', client: id, n }, { timeoutMs: 5000 }).then(
              (answer) => {
                if (answer.n !== n || answered.has(n)) t.fail(`answer ${answer.n} to ${n}`)
                answered.add(n)
                totals.resolved++
              },
              (error: { code: string, sent: boolean }) => {
                totals.rejected++
                if (!error.sent) sends.set(n, 'dropped')
              }
            )
          )
        } else {
          const result = client.send({ event: 'tell', client: id, n })
          totals[result]++
          // `onDrop` may have been called for this message within `send`.
          if (!sends.has(n)) sends.set(n, result)
        }
        await later(Math.random() * 20)
      }
      await Promise.all([...requests, cutting])
      client.close()
      for (const n of answered) {
        if (ran.get(`${id} ask ${n}`) !== 1) {
          t.fail(`request ${n} of client ${id} resolved and ran ${ran.get(`${id} ask ${n}`)} times`)
        }
      }
      for (const [n, result] of sends) {
        const times = (ran.get(`${id} ask ${n}`) ?? 0) + (ran.get(`${id} tell ${n}`) ?? 0)
        if (times > 1 || (times > 0 && (result === 'refused' || result === 'dropped'))) {
          t.fail(`message ${n} of client ${id}, ${result}, ran ${times} times`)
        }
      }
    }
    await Promise.all(Array.from({ length: CLIENTS }, (_, id) => runClient(id)))

    t.comment(JSON.stringify(totals))
    t.same(
      [...ran].filter(([, times]) => times !== 1),
      [],
      'each message was handled once'
    )
    t.ok(totals.cuts >= (SECONDS / CUT_EVERY_MS) * 1000, `${totals.cuts} cuts`)
    t.ok(totals.opened > CLIENTS, 'the clients have reconnected')
    t.ok(totals.resolved > totals.rejected)
    t.ok(totals.queued > 0)
  }
)
