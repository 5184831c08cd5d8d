import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { WebSocket, WebSocketServer } from 'ws'
import { connect as connectClient } from '../../src/client/index.ts'
import type { Client, ClientOptions, ClientState } from '../../src/client/types.ts'
import type { Teardown } from '../helpers/server.ts'

export interface Message {
  readonly event: string
  readonly ref?: string | number
  readonly n?: number
  readonly text?: string
}
export interface Chat { readonly send: Message, readonly receive: Message }
export type TestClient = Client<Chat>

/**
 * The option `WebSocket`: none where it is a global (Node 22), otherwise that of ws.
 */
export const ownWebSocket = 'WebSocket' in globalThis ? {} : { WebSocket }

/** Connects a client with short waits. It is closed when the test ends. */
export function connect (
  t: Teardown,
  url: Parameters<typeof connectClient>[0],
  options: ClientOptions<Chat, 'event', 'ref'> = {}
): TestClient {
  const client = connectClient<Chat>(url, {
    ...ownWebSocket,
    firstWaitMs: 20,
    maxWaitMs: 100,
    ...options
  })
  t.teardown(() => client.close())
  return client
}

/**
 * Resolves with the first state of this status, the current one included. Rejects after
 * `timeoutMs`.
 */
export async function until<S extends ClientState['status']> (
  client: TestClient,
  status: S,
  timeoutMs = 20_000
): Promise<Extract<ClientState, { status: S }>> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () =>
        reject(
          new Error(
            `still ${JSON.stringify(client.getSnapshot())}, not ${status}, after ${timeoutMs} ms`
          )
        ),
      timeoutMs
    )
    const end = client.subscribe((state) => {
      if (state.status !== status) return
      clearTimeout(timer)
      // `end` is not assigned yet when the current state has the status.
      queueMicrotask(() => end())
      resolve(state as Extract<ClientState, { status: S }>)
    })
  })
}

/** A promise and its resolve function. It rejects after `timeoutMs`. */
export function defer<T> (
  what: string,
  timeoutMs = 20_000
): { promise: Promise<T>, resolve: (value: T) => void } {
  let resolve!: (value: T) => void
  const promise = new Promise<T>((_resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`no ${what} within ${timeoutMs} ms`)),
      timeoutMs
    )
    resolve = (value) => { clearTimeout(timer); _resolve(value) }
  })
  return { promise, resolve }
}

export interface Visit {
  readonly socket: WebSocket
  readonly request: IncomingMessage
  /** Counts from 0. */
  readonly index: number
}

export interface ScriptedServer {
  readonly port: number
  readonly url: string
  /** The number of upgrade requests, refused ones included. */
  readonly upgrades: number
  /** The decoded messages of all connections, in order. */
  readonly received: Message[]
  readonly sockets: ReadonlySet<WebSocket>
  stop (): Promise<void>
}

/**
 * A bare ws server. `script` is called for each connection. The server answers requests with `{
 * event: 'answer', ref }`. `refuse` may answer an upgrade itself, and then returns true. The server
 * is stopped when the test ends.
 */
export async function startScripted (
  t: Teardown,
  script: (visit: Visit) => void = () => {},
  refuse: (socket: Socket, index: number, request: IncomingMessage) => boolean = () => false,
  port = 0
): Promise<ScriptedServer> {
  const http = createServer()
  const wss = new WebSocketServer({ noServer: true })
  const raw = new Set<Socket>()
  const received: Message[] = []
  let upgrades = 0
  http.on('upgrade', (request, socket: Socket, head) => {
    const index = upgrades++
    raw.add(socket)
    socket.on('close', () => raw.delete(socket)).on('error', () => {})
    if (refuse(socket, index, request)) return
    wss.handleUpgrade(request, socket, head, (socket) => {
      socket.on('error', () => {})
      socket.on('message', (data, isBinary) => {
        if (isBinary) return
        const message = JSON.parse(String(data)) as Message
        received.push(message)
        if (message.event === 'ask') socket.send(JSON.stringify({ ...message, event: 'answer' }))
      })
      script({ socket, request, index })
    })
  }).listen(port, '127.0.0.1')
  await once(http, 'listening')
  const at = (http.address() as AddressInfo).port
  const stop = async (): Promise<void> => {
    if (!http.listening) return
    const closed = once(http, 'close')
    http.close()
    for (const socket of raw) socket.destroy()
    await closed
  }
  t.teardown(stop)
  return {
    port: at,
    url: `ws://127.0.0.1:${at}/`,
    get upgrades () {
      return upgrades
    },
    received,
    sockets: wss.clients,
    stop
  }
}
