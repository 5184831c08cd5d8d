import type { Peer, PeerOptions } from './peer.ts'

/**
 * The endpoint of a case. `echo`: default limits; `deflate`: with permessage-deflate; `hasty`: time
 * limits of half a second; `slow`: a hook that takes 200 ms; `stuck`: a hook that never answers.
 */
export type Endpoint = 'echo' | 'deflate' | 'hasty' | 'slow' | 'stuck'

export const ENDPOINTS: readonly Endpoint[] = ['echo', 'deflate', 'hasty', 'slow', 'stuck']

/**
 * Bytes, text in which PATH is replaced by the path of the endpoint, or a function of the peer.
 */
export type Step = string | Uint8Array | ((peer: Peer) => unknown)

/** What a peer must receive. Anything else is a failure. */
export interface Expect {
  /**
   * The HTTP answers. Default [101]. `any` when the peer ends TCP first, because then the timing
   * decides.
   */
  readonly status?: readonly number[] | 'any'
  /** The echoed messages: their texts in order, their number, or any number. Default: none. */
  readonly echo?: readonly string[] | number | 'any'
  readonly pongs?: number | 'any'
  readonly pings?: 'some'
  /**
   * The code in the close frame; 1005: a close frame without a code. Default: no close frame.
   */
  readonly closeCode?: number
  /**
   * The peer receives no byte, or none after the 101. This is also the default.
   */
  readonly silence?: true
  /**
   * The time in ms after the last step in which TCP must end. false: TCP is still open when the
   * rest has arrived.
   */
  readonly tcpEnds: number | false
  /**
   * The memory (RSS) of the server must grow by less than this many MiB. Not checked when the
   * server does not report it.
   */
  readonly serverGrowsBelowMib?: number
  /** A peer that connects afterwards gets its echo. */
  readonly nextServed?: true
}

/** One row of the suite. */
export interface Case {
  readonly name: string
  /** Default `echo`. */
  readonly to?: Endpoint
  /** The number of peers that do the same at once. Default 1. */
  readonly peers?: number
  /** True for a heavy case: no other case runs at the same time. */
  readonly alone?: true
  readonly peer?: PeerOptions
  readonly send: readonly Step[]
  readonly expect: Expect
  /** Section of an RFC, or the reason. */
  readonly why: string
  /** Why this library does not do so yet. */
  readonly knownFault?: string
}

/** What one peer received. */
export interface Received {
  readonly status: number[]
  readonly messages: string[]
  messageCount: number
  messageBytes: number
  pings: number
  pongs: number
  closeCode: number | undefined
  /** Bytes that are no frame that a server may send. */
  broken: string | undefined
  ended: boolean
  nextServed: boolean | undefined
}

/** Texts longer than this are kept in part. */
export const KEPT_TEXT = 24
/** Messages beyond so many are counted only. */
export const KEPT_MESSAGES = 20

export function nothing (): Received {
  return {
    status: [],
    messages: [],
    messageCount: 0,
    messageBytes: 0,
    pings: 0,
    pongs: 0,
    closeCode: undefined,
    broken: undefined,
    ended: false,
    nextServed: undefined
  }
}

/** True when everything but the end has arrived. */
export function isComplete (received: Received, expect: Expect): boolean {
  if (expect.tcpEnds !== false || expect.status === 'any') return false
  const { status = [101], echo = [], pongs = 0 } = expect
  const messages = typeof echo === 'number' ? echo : echo.length
  return (
    received.status.length >= status.length &&
    received.messageCount >= messages &&
    (pongs === 'any' || received.pongs >= pongs) &&
    (expect.closeCode === undefined || received.closeCode !== undefined)
  )
}

/** The differences from the expectation. Empty when there is none. */
export function judge (received: Received, expect: Expect): string[] {
  const { status = [101], echo = [], pongs = 0 } = expect
  const wrong: string[] = []
  if (expect.nextServed === true && received.nextServed !== true) {
    wrong.push('the next peer expected to be served')
  }
  if (received.ended !== (expect.tcpEnds !== false)) {
    wrong.push(
      expect.tcpEnds === false
        ? 'TCP expected to stay open'
        : `TCP expected to end within ${expect.tcpEnds} ms`
    )
  }
  // The peer ended TCP first.
  if (status === 'any') return wrong
  if (received.status.join() !== status.join()) {
    wrong.push(`status ${status.join(', ') || 'none'} expected`)
  }
  if (echo !== 'any') {
    const count = typeof echo === 'number' ? echo : echo.length
    if (
      received.messageCount !== count ||
      (typeof echo !== 'number' && echo.some((text, i) => text !== received.messages[i]))
    ) {
      wrong.push(
        `${typeof echo === 'number' ? `${echo} echoes` : `echo ${JSON.stringify(echo)}`} expected`
      )
    }
  }
  if (pongs !== 'any' && received.pongs !== pongs) wrong.push(`${pongs} pongs expected`)
  if (expect.pings === 'some' ? received.pings === 0 : received.pings > 0) {
    wrong.push(`${expect.pings === 'some' ? 'a' : 'no'} ping expected`)
  }
  if (received.closeCode !== expect.closeCode) {
    wrong.push(
      `${expect.closeCode === undefined ? 'no close frame' : `close ${expect.closeCode}`} expected`
    )
  }
  if (received.broken !== undefined) wrong.push('only frames of a server expected')
  return wrong
}

/** Describes what a peer received. */
export function describe (received: Received): string {
  // A peer that ends TCP first may or may not have received the answer.
  if (received.nextServed !== undefined) {
    return `the next peer is ${received.nextServed ? '' : 'not '}served`
  }
  const words: string[] = []
  if (received.status.length > 0 && (received.status.join() !== '101' || isOnly101(received))) {
    words.push(received.status.join(', '))
  }
  const { messageCount, messageBytes } = received
  if (messageCount > 3) words.push(`${messageCount} echoes (${messageBytes} bytes)`)
  else words.push(...received.messages.map((text) => `echo ${JSON.stringify(text)}`))
  if (received.pongs > 0) words.push(count(received.pongs, 'pong'))
  if (received.pings > 0) words.push(count(received.pings, 'ping'))
  if (received.broken !== undefined) words.push(received.broken)
  if (received.closeCode !== undefined) words.push(`close ${received.closeCode}`)
  if (words.length === 0) words.push('nothing')
  words.push(received.ended ? 'TCP ends' : 'TCP stays open')
  return words.join(', ')
}

function isOnly101 (received: Received): boolean {
  return (
    received.messageCount === 0 && received.pongs === 0 && received.pings === 0 &&
    received.closeCode === undefined
  )
}

function count (n: number, word: string): string {
  return n === 1 ? `a ${word}` : `${n} ${word}s`
}
