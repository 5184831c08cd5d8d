import type { Alarm, Clock } from '../event-loop.ts'

interface HandAlarm extends Alarm {
  readonly task: () => void
  readonly everyMs: number | undefined
  at: number
}

/** A clock that stands still unless it is moved. */
export class HandClock implements Clock {
  #now = 0
  // In the order in which they were set, which is that of alarms of the same time.
  readonly #alarms = new Set<HandAlarm>()

  setTimeout (task: () => void, ms: number): Alarm { return this.#set(task, ms, undefined) }
  setInterval (task: () => void, ms: number): Alarm { return this.#set(task, ms, ms) }
  clearTimeout (alarm: Alarm): void { this.#alarms.delete(alarm as HandAlarm) }

  /**
   * Moves on by `ms`, from alarm to alarm. After each, `settle` is waited for: it may set others.
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
