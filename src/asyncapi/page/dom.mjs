/**
 * Creates an element: `h('a.link', { href: '#/' }, 'text', child)`. Functions become listeners.
 * Strings become text, never markup.
 */
export function h (name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split('.')
  const element = document.createElement(tag)
  if (classes.length > 0) element.className = classes.join(' ')
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(key, value)
    else if (value === true) element.setAttribute(key, '')
    else if (value !== false && value !== undefined && value !== null) {
      element.setAttribute(key, String(value))
    }
  }
  element.append(
    ...children
      .flat(Infinity)
      .filter((child) => child !== undefined && child !== null && child !== false)
  )
  return element
}

/** The paragraphs of a description. Text between backticks is code. */
export function prose (text) {
  if (typeof text !== 'string' || text.trim() === '') return []
  return text.trim().split(/\n\s*\n/).map((paragraph) => h('p', {}, ...inline(paragraph)))
}

export function inline (text) {
  return text
    .split(/(`[^`\n]+`)/)
    .map((part) => (/^`.+`$/.test(part) ? h('code', {}, part.slice(1, -1)) : part))
}

/** A link for an http or https URL, otherwise text. */
export function outside (text, url) {
  const safe = typeof url === 'string' && /^https?:\/\//i.test(url)
  return safe
    ? h('a', { href: url, rel: 'noreferrer noopener' }, text ?? url)
    : h('span', {}, text ?? url ?? '')
}

export function link (text, ...path) {
  return h('a', { href: hashOf(...path) }, text)
}

export function hashOf (...path) {
  return `#/${path.map(encodeURIComponent).join('/')}`
}
