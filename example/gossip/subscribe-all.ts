import type { Topic } from 'fastify-websock'
import type { Ws } from './session.ts'

/** The most time that a game waits for the broker. */
const MAX_WAIT_MS = 5_000

/**
 * Subscribes to topics. Resolves with true when publications of other nodes on all of them arrive.
 * Resolves with false when that takes too long, for example because the broker is down.
 */
export async function subscribeAll (ws: Ws, topics: readonly Topic[]): Promise<boolean> {
  for (const topic of topics) ws.subscribe(topic.name)
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, MAX_WAIT_MS, false)
  })
  const all = Promise.all(topics.map((topic) => ws.subscriptionReady(topic)))
  const isReady = await Promise.race([all.then((ready) => ready.every(Boolean)), tooLate])
  clearTimeout(timer)
  return isReady
}
