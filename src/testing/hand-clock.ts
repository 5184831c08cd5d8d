import type { Alarm, Clock } from '../event-loop.ts'

interface HandAlarm extends Alarm {
  readonly task: () => void
  readonly everyMs: number | undefined
  at: number
}

/** A clock that moves only when `advance` is called. */
export class HandClock implements Clock {
  #now = 0
  // In the order in which they were set. Alarms of the same time run in this order.
  readonly #alarms = new Set<HandAlarm>()

  setTimeout (task: () => void, ms: number): Alarm { return this.#set(task, ms, undefined) }
  setInterval (task: () => void, ms: number): Alarm { return this.#set(task, ms, ms) }
  clearTimeout (alarm: Alarm): void { this.#alarms.delete(alarm as HandAlarm) }

  /**
   * Advances the clock by `ms`, from alarm to alarm. Waits for `settle` after each alarm, because
   * its task may set others.
   */
  async advance (ms: number, settle: () => Promise<void>): Promise<void> {
    const end = this.#now + ms
    for (let alarm; (alarm = this.#firstUntil(end)) !== undefined;) {
      this.#now = alarm.at
      this.#alarms.delete(alarm)
      if (alarm.everyMs !== undefined) {
        alarm.at += alarm.everyMs
        this.#alarms.add(alarm)
      }
      alarm.task()
      await settle()
    }
    this.#now = end
  }

  #set (task: () => void, ms: number, everyMs: number | undefined): Alarm {
    const alarm: HandAlarm = { task, everyMs, at: this.#now + ms, unref: () => {} }
    this.#alarms.add(alarm)
    return alarm
  }

  #firstUntil (end: number): HandAlarm | undefined {
    let first: HandAlarm | undefined
    for (const alarm of this.#alarms) {
      if (alarm.at <= end && (first === undefined || alarm.at < first.at)) first = alarm
    }
    return first
  }
}
