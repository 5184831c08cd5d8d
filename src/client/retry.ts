import type { closeCodes } from '../wire/close-codes.ts'
import type { ConnectionEnd, Failure, LinkOptions } from './types.ts'

type CloseCodes = typeof closeCodes

// Copied, because importing the whole table would add a twentieth to the client's size.
export const NORMAL: CloseCodes['normal'] = 1000
export const ABNORMAL: CloseCodes['abnormal'] = 1006
const POLICY_VIOLATION: CloseCodes['policyViolation'] = 1008
const SERVICE_RESTART: CloseCodes['serviceRestart'] = 1012
const TRY_AGAIN_LATER: CloseCodes['tryAgainLater'] = 1013
const HOUR_MS = 3_600_000

/**
 * Draws the wait before the next attempt, in milliseconds. Full jitter: a random time from 0 to a
 * bound, which doubles with each failure up to `maxWaitMs`. The bound is ten times as high after
 * 1012 and 1013, because with these codes a server asks clients to wait. Source: AWS Architecture
 * Blog, "Exponential Backoff And Jitter".
 */
export function drawWaitMs (
  failures: number, code: number, { firstWaitMs = 500, maxWaitMs = 30_000 }: LinkOptions
): number {
  const asked = code === SERVICE_RESTART || code === TRY_AGAIN_LATER
  return Math.random() * Math.min(maxWaitMs, firstWaitMs * (asked ? 10 : 1) * 2 ** (failures - 1))
}

/**
 * The default of `shouldReconnect`. False for the codes with which a server tells clients not to
 * return.
 */
export function isRetryable ({ code }: ConnectionEnd): boolean {
  return code !== NORMAL && code !== POLICY_VIOLATION && code < 4000
}

/** Tells whether to give up. */
export function isHopeless (failure: Failure, giveUp: LinkOptions['giveUp']): boolean {
  if (typeof giveUp === 'function') return giveUp(failure)
  const { attempts = Infinity, afterMs = Infinity } =
    giveUp ?? (failure.opened ? { afterMs: HOUR_MS } : { attempts: 10 })
  return failure.attempts >= attempts || failure.elapsedMs >= afterMs
}
