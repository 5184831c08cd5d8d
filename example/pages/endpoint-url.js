/**
 * Builds the ws:// or wss:// address of a path on the server this page came from.
 *
 * Values of `query` are added and encoded here; `path` must be encoded already.
 */
export function buildEndpointUrl (path, query = {}) {
  const url = new URL(path, location.origin)
  url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:'
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
  return url.href
}

/**
 * Fills form fields from the page's own query, `?nick=ann` into the field named `nick`.
 */
export function fillFromQuery (form) {
  for (const [name, value] of new URLSearchParams(location.search)) {
    const field = form.elements.namedItem(name)
    if (field instanceof HTMLInputElement) field.value = value
  }
}
