import { WebSocket } from 'ws'

/** The record of a well-behaved peer since the last request for it. */
export interface Witness {
  /** Since the beginning. */
  readonly sent: number
  readonly echoed: number
  readonly slowestMs: number
  /** How its connection ended, if it did. */
  readonly closed: string | undefined
}

const PERIOD_MS = 20
const PATIENCE_MS = 10_000

/** Sends a message every 20 ms, in its own process, and reports its echoes to the parent. */
function main (url: string): void {
  const pending = new Map<string, number>()
  let sent = 0
  let echoed = 0
  let slowestMs = 0
  let closed: string | undefined
  const note = (since: number): void => {
    slowestMs = Math.max(slowestMs, performance.now() - since)
  }

  const socket = new WebSocket(url)
  const timer = setInterval(() => {
    if (socket.readyState !== WebSocket.OPEN) return
    const message = `bystander ${sent++}`
    pending.set(message, performance.now())
    socket.send(message)
  }, PERIOD_MS)
  socket.on('open', () => process.send?.('ready'))
  socket.on('error', () => {})
  socket.on('close', (code, reason) => { closed = `${code} ${reason.toString()}`.trim() })
  socket.on('message', (data) => {
    const since = pending.get(String(data))
    if (since === undefined) return
    pending.delete(String(data))
    echoed++
    note(since)
  })

  const answer = (): void => {
    for (const since of pending.values()) note(since)
    process.send?.({ sent, echoed, slowestMs, closed } satisfies Witness)
    slowestMs = 0
  }
  process.on('message', (last: boolean) => {
    if (!last) return answer()
    clearInterval(timer)
    const deadline = performance.now() + PATIENCE_MS
    const check = setInterval(() => {
      if (pending.size > 0 && performance.now() < deadline && closed === undefined) return
      clearInterval(check)
      answer()
    }, 10)
  })
  process.on('disconnect', () => process.exit())
}

if (process.argv[2] !== undefined) main(process.argv[2])
