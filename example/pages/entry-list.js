/**
 * Appends to a list of which only the last `maxEntries` are kept.
 *
 * The list's parent is what scrolls; it follows the end for as long as the reader is there.
 */
export function createEntryList (list, maxEntries = 500) {
  const scroller = list.parentElement
  // Asked when the reader scrolls, not at each entry: a phone that is turned makes
  // the list longer under a reader who has gone nowhere.
  let following = true
  scroller.addEventListener('scroll', () => {
    following = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 24
  })
  return {
    append (entry) {
      list.append(entry)
      while (list.childElementCount > maxEntries) list.firstElementChild.remove()
      if (following) scroller.scrollTop = scroller.scrollHeight
    },
    clear () {
      list.replaceChildren()
    }
  }
}

/** Builds an element with a text that is never parsed as HTML. */
export function buildElement (tag, className, text = '') {
  const element = document.createElement(tag)
  element.className = className
  element.textContent = text
  return element
}

/** Builds a `<time>` of an instant in epoch milliseconds, in local words down to `format`. */
export function buildTime (epochMs, format) {
  const time = buildElement('time', 'time', format.format(epochMs))
  time.dateTime = new Date(epochMs).toISOString()
  return time
}
