// Section 5: talk on channels.
import { confirm, fail, overLimit } from './answer.ts'
import { MAX_CHANNELS } from './payloads.ts'
import type { Family, Session } from './session.ts'
import { subscribeAll } from './subscribe-all.ts'
import { topics } from './topics.ts'

export const channels: Family<'channels/subscribe' | 'channels/unsubscribe' | 'channels/send'> = {
  async 'channels/subscribe' (request, session, ws) {
    const { payload: { channel } } = request
    const isDone = channel === undefined || isSubscribed(session, channel)
    if (isDone) return confirm(request, session, ws)
    const error = `Could not subscribe to "${channel ?? ''}"`
    if (!isChannel(channel) || session.channels.size >= MAX_CHANNELS) {
      return fail(error, request, session, ws)
    }
    const over = overLimit(session.limits.subscribe, request, session, ws)
    if (over !== undefined) return over
    if (!await subscribeAll(ws, [topics.channel(channel)])) {
      ws.unsubscribe(topics.channel(channel))
      return fail(error, request, session, ws)
    }
    session.channels.add(channel)
    session.network.see(session)
    return confirm(request, session, ws)
  },

  'channels/unsubscribe' (request, session, ws) {
    const { payload: { channel } } = request
    if (!isSubscribed(session, channel)) return confirm(request, session, ws)
    const over = overLimit(session.limits.unsubscribe, request, session, ws)
    if (over !== undefined) return over
    ws.unsubscribe(topics.channel(channel))
    session.channels.delete(channel)
    session.network.see(session)
    return confirm(request, session, ws)
  },

  'channels/send' (request, session, ws) {
    const { payload: { channel, name = '', message = '' } } = request
    if (!isSubscribed(session, channel)) return confirm(request, session, ws)
    const over = overLimit(session.limits.send, request, session, ws)
    if (over !== undefined) return over
    const game = session.game.short_name
    const payload = { channel, game, name: withoutTags(name), message: withoutTags(message) }
    ws.publish(topics.channel(channel), { event: 'channels/broadcast', payload, notTo: game })
    ws.publish(topics.pages, { event: 'talk', ...payload, at: Date.now() })
    return confirm(request, session, ws)
  }
}

export function isChannel (name: string | null): name is string {
  return name !== null && /^[a-zA-Z_-]{3,15}$/.test(name) && name.toLowerCase() !== 'all'
}

function isSubscribed (session: Session, channel: string | null | undefined): channel is string {
  return typeof channel === 'string' && session.channels.has(channel)
}

/** Removes MXP tags, because the client of a player might execute them. */
function withoutTags (text: string): string {
  // The text after the last `>` has no tag. The regular expression would search it from each `<`
  // on, which takes a minute for a frame full of `<`.
  const end = text.lastIndexOf('>') + 1
  return text.slice(0, end).replace(/<[^>]*>/g, '') + text.slice(end)
}
