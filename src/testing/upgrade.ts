import { randomBytes } from 'node:crypto'
import {
  request as requestHttp,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders
} from 'node:http'
import { request as requestHttps, type RequestOptions } from 'node:https'
import type { Duplex } from 'node:stream'
import type { Refusal } from './types.ts'

export interface UpgradeOptions {
  readonly headers?: OutgoingHttpHeaders
  /** The subprotocols that the client offers, best first. */
  readonly subprotocols?: readonly string[]
}

/** The answer of a server to an upgrade. */
export interface Answer {
  readonly headers: IncomingHttpHeaders
  readonly socket: Duplex
  /** The bytes that arrived with the 101. They may contain the first frames. */
  readonly head: Buffer
  /** Undefined when the answer is the 101. */
  readonly refused: Refusal | undefined
}

/**
 * Sends an upgrade request (RFC 6455 §4.1). Resolves in the turn in which the answer arrives, so
 * that a listener misses no frame. Rejects when there is no answer.
 */
export async function askForUpgrade (
  where: RequestOptions, isTls: boolean, { headers = {}, subprotocols = [] }: UpgradeOptions
): Promise<Answer> {
  const request = (isTls ? requestHttps : requestHttp)({
    ...where,
    headers: {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': randomBytes(16).toString('base64'),
      ...(subprotocols.length > 0 && { 'sec-websocket-protocol': subprotocols.join(', ') }),
      ...headers
    }
  })
  return new Promise((resolve, reject) => {
    request.on('error', reject)
    request.on('upgrade', (response, socket, head) =>
      resolve({ headers: response.headers, socket, head, refused: undefined })
    )
    request.on('response', (response) => { readRefusal(response).then(resolve, reject) })
    request.end()
  })
}

async function readRefusal (response: IncomingMessage): Promise<Answer> {
  const { headers, socket, statusCode = 0 } = response
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  const body = Buffer.concat(chunks).toString()
  const refused: Refusal = { statusCode, headers, body, json: () => JSON.parse(body) as unknown }
  return { headers, socket, head: Buffer.alloc(0), refused }
}
