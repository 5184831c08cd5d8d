import type { Peer, PeerOptions } from './peer.ts'

/**
 * Where a case knocks. `echo`: default limits; `deflate`: permessage-deflate too; `hasty`: half a
 * second of patience everywhere; `slow`: a hook that takes 200 ms; `stuck`: a hook that never
 * answers.
 */
export type Endpoint = 'echo' | 'deflate' | 'hasty' | 'slow' | 'stuck'

export const ENDPOINTS: readonly Endpoint[] = ['echo', 'deflate', 'hasty', 'slow', 'stuck']

/**
 * Bytes as they are, text in which PATH stands for the endpoint's path, or something done with the
 * peer.
 */
export type Step = string | Uint8Array | ((peer: Peer) => unknown)

/** What must come, and nothing else. */
export interface Expect {
  /**
   * The HTTP answers. Default [101]; `any` where the peer hangs up first: what it still saw is
   * chance.
   */
  readonly status?: readonly number[] | 'any'
  /** Whole messages that come back: their texts in order, how many, or any number. Default none. */
  readonly echo?: readonly string[] | number | 'any'
  readonly pongs?: number | 'any'
  readonly pings?: 'some'
  /**
   * The code in the close frame; 1005: a close frame without a code. Default: no close frame comes.
   */
  readonly closeCode?: number
  /**
   * No byte comes, or none after the 101. It says what is so anyway where nothing else is named.
   */
  readonly silence?: true
  /**
   * TCP ends within so many ms after the last step; false: it is open still when all the rest has
   * come.
   */
  readonly tcpEnds: number | false
  /**
   * So many MiB over its start the server's memory (RSS) grows to at most; not judged where it
   * cannot be asked.
   */
  readonly serverGrowsBelowMib?: number
  /** A peer that comes afterwards is echoed. */
  readonly nextServed?: true
}

/** One row of the suite. */
export interface Case {
  readonly name: string
  /** Default `echo`. */
  readonly to?: Endpoint
  /** So many do the same at once. Default 1. */
  readonly peers?: number
  /** Heavy: nothing else runs beside it. */
  readonly alone?: true
  readonly peer?: PeerOptions
  readonly send: readonly Step[]
  readonly expect: Expect
  /** Section of an RFC, or the reason. */
  readonly why: string
  /** Ours does not do so yet, and why. */
  readonly knownFault?: string
}

/** What came to one peer. */
export interface Came {
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

export function nothing (): Came {
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

/** Everything but the end has come, so there is no need to wait on. */
export function isComplete (came: Came, expect: Expect): boolean {
  if (expect.tcpEnds !== false || expect.status === 'any') return false
  const { status = [101], echo = [], pongs = 0 } = expect
  const messages = typeof echo === 'number' ? echo : echo.length
  return (
    came.status.length >= status.length &&
    came.messageCount >= messages &&
    (pongs === 'any' || came.pongs >= pongs) &&
    (expect.closeCode === undefined || came.closeCode !== undefined)
  )
}

/** What is wrong with what came; empty when it is right. */
export function judge (came: Came, expect: Expect): string[] {
  const { status = [101], echo = [], pongs = 0 } = expect
  const wrong: string[] = []
  if (expect.nextServed === true && came.nextServed !== true) {
    wrong.push('the next peer expected to be served')
  }
  if (came.ended !== (expect.tcpEnds !== false)) {
    wrong.push(
      expect.tcpEnds === false
        ? 'TCP expected to stay open'
        : `TCP expected to end within ${expect.tcpEnds} ms`
    )
  }
  // It hung up first.
  if (status === 'any') return wrong
  if (came.status.join() !== status.join()) {
    wrong.push(`status ${status.join(', ') || 'none'} expected`)
  }
  if (echo !== 'any') {
    const count = typeof echo === 'number' ? echo : echo.length
    if (
      came.messageCount !== count ||
      (typeof echo !== 'number' && echo.some((text, i) => text !== came.messages[i]))
    ) {
      wrong.push(
        `${typeof echo === 'number' ? `${echo} echoes` : `echo ${JSON.stringify(echo)}`} expected`
      )
    }
  }
  if (pongs !== 'any' && came.pongs !== pongs) wrong.push(`${pongs} pongs expected`)
  if (expect.pings === 'some' ? came.pings === 0 : came.pings > 0) {
    wrong.push(`${expect.pings === 'some' ? 'a' : 'no'} ping expected`)
  }
  if (came.closeCode !== expect.closeCode) {
    wrong.push(
      `${expect.closeCode === undefined ? 'no close frame' : `close ${expect.closeCode}`} expected`
    )
  }
  if (came.broken !== undefined) wrong.push('only frames of a server expected')
  return wrong
}

/** What came, in words. */
export function describe (came: Came): string {
  // A peer that hangs up first may or may not have seen the answer before.
  if (came.nextServed !== undefined) {
    return `the next peer is ${came.nextServed ? '' : 'not '}served`
  }
  const words: string[] = []
  if (came.status.length > 0 && (came.status.join() !== '101' || isOnly101(came))) {
    words.push(came.status.join(', '))
  }
  if (came.messageCount > 3) words.push(`${came.messageCount} echoes (${came.messageBytes} bytes)`)
  else words.push(...came.messages.map((text) => `echo ${JSON.stringify(text)}`))
  if (came.pongs > 0) words.push(count(came.pongs, 'pong'))
  if (came.pings > 0) words.push(count(came.pings, 'ping'))
  if (came.broken !== undefined) words.push(came.broken)
  if (came.closeCode !== undefined) words.push(`close ${came.closeCode}`)
  if (words.length === 0) words.push('nothing')
  words.push(came.ended ? 'TCP ends' : 'TCP stays open')
  return words.join(', ')
}

function isOnly101 (came: Came): boolean {
  return (
    came.messageCount === 0 && came.pongs === 0 && came.pings === 0 && came.closeCode === undefined
  )
}

function count (n: number, word: string): string {
  return n === 1 ? `a ${word}` : `${n} ${word}s`
}
