// Section 5: what is said on a channel arrives at all others who subscribe to it.
import { failure, GOODBYE, type Family, type Outcome } from './answer.ts'
import type { LeakyBucket } from './leaky-bucket.ts'
import { MAX_CHANNELS, type Event } from './messages.ts'
import type { Network } from './network.ts'
import type { Session } from './session.ts'
import { topics } from './topics.ts'

const CHANNEL_NAME = /^[a-zA-Z_-]{3,15}$/
const BLOCKED = ['all']

export const channels: Family<'channels/subscribe' | 'channels/unsubscribe' | 'channels/send'> = {
  'channels/subscribe' ({ payload: { channel } }, session, network) {
    if (channel === undefined || session.channels.has(channel ?? '')) return
    const over = overflow(session.buckets.subscribe, network)
    if (over !== undefined) return over
    if (!join(session, channel)) return failure(`Could not subscribe to "${channel ?? ''}"`)
    network.see(session)
  },

  'channels/unsubscribe' ({ payload: { channel } }, session, network) {
    if (!isSubscribed(session, channel)) return
    const over = overflow(session.buckets.unsubscribe, network)
    if (over !== undefined) return over
    session.channels.delete(channel)
    session.socket.ws.unsubscribe(topics.channel(channel))
    network.see(session)
  },

  'channels/send' ({ payload: { channel, name = '', message = '' } }, session, network) {
    if (!isSubscribed(session, channel)) return
    const over = overflow(session.buckets.send, network)
    if (over !== undefined) return over
    const game = session.game.short_name
    const payload = { channel, game, name: withoutTags(name), message: withoutTags(message) }
    network.publish(topics.channel(channel), { event: 'channels/broadcast', payload, notTo: game })
    network.showWatchers({ event: 'talk', ...payload, at: Date.now() })
  }
}

/** False when that is no name of a channel, or of one too many. */
export function join (session: Session, channel: string | null): boolean {
  if (channel === null || !CHANNEL_NAME.test(channel) || BLOCKED.includes(channel.toLowerCase())) {
    return false
  }
  if (session.channels.size >= MAX_CHANNELS && !session.channels.has(channel)) return false
  session.channels.add(channel)
  session.socket.ws.subscribe(topics.channel(channel))
  return true
}

function isSubscribed (session: Session, channel: string | null | undefined): channel is string {
  return typeof channel === 'string' && session.channels.has(channel)
}

function overflow (
  bucket: LeakyBucket,
  network: Network
): Outcome<Event> & Outcome<'channels/send'> {
  switch (bucket.take(network.now())) {
    case 'fits': return undefined
    case 'full': return failure('rate limit exceeded')
    case 'abuse': return GOODBYE
  }
}

/** MXP, which the client of a player might obey. */
function withoutTags (text: string): string {
  // Behind the last > no tag ends: looking for one there, from each < again, takes a minute for a
  // frame full of them.
  const end = text.lastIndexOf('>') + 1
  return text.slice(0, end).replace(/<[^>]*>/g, '') + text.slice(end)
}
