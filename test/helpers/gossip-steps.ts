import { FRESH, type Step } from './gossip-script.ts'

// Messages and steps that several tables of `test/example/gossip-messages/` use.

export const ERROR = 'an error occurred, try again'
export const UNKNOWN = { status: 'unknown' }
export const HEARTBEAT = { event: 'heartbeat' }
export const AUTHENTICATED = {
  event: 'authenticate',
  status: 'success',
  payload: { unicode: '✔️', version: '2.3.0' }
}
/** The authentication of a socket that subscribes to the channel `gossip`. */
export const GOSSIP = { channels: ['gossip'] }

/** A request with a ref. */
export function ask (event: string, payload?: unknown, ref: unknown = 1): object {
  return { event, ref, ...(payload !== undefined && { payload }) }
}

/** The answer to a request that succeeded. */
export function ok (event: string, ref: unknown = 1): object {
  return { event, ref, status: 'success' }
}

/** The answer to a request that failed. */
export function failed (event: string, error: string, ref: unknown = 1): object {
  return { event, ref, status: 'failure', error }
}

/** A request and its confirmation. */
export function does (who: string, event: string, payload: object): Step[] {
  return [[who, '>', ask(event, payload)], [who, '<', ok(event)]]
}

/** A request and its failure. */
export function fails (who: string, event: string, payload: unknown, error: string): Step[] {
  return [[who, '>', ask(event, payload)], [who, '<', failed(event, error)]]
}

/** The authentication of a socket that is already open. Default flags: channels and games. */
export function enters (who: string, payload: object = {}): Step[] {
  const credentials = { client_id: `@${who[0]}.id`, client_secret: `@${who[0]}.secret` }
  return [
    [who, '>', authenticate({ ...credentials, supports: ['channels', 'games'], ...payload })],
    [who, '<', AUTHENTICATED],
    [who, '<', HEARTBEAT]
  ]
}

/** An authentication with the credentials of A, or those of the payload. */
export function authenticate (payload: object, more: object = {}): object {
  const credentials = { client_id: '@A.id', client_secret: '@A.secret' }
  return { event: 'authenticate', payload: { ...credentials, ...payload }, ...more }
}

/** A message on a channel, as its subscribers receive it. */
export function talk (game: string, name = '', message = '', channel = 'gossip'): object {
  return { event: 'channels/broadcast', ref: FRESH, payload: { channel, game, name, message } }
}

/** A channel name for each number. */
export function channelOf (n: number): string {
  return `ch-${[...`${n}`].map((digit) => 'abcdefghij'[Number(digit)]).join('')}`
}
