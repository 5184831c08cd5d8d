export interface AddressParameter {
  /** The name in the document. */
  readonly name: string
  /** The name in the route. `*` for the wildcard. */
  readonly key: string
  readonly optional: boolean
  /** The regular expression of the parameter in the route's URL. */
  readonly pattern: string | undefined
}

export interface Address {
  readonly address: string
  readonly parameters: readonly AddressParameter[]
}

/** The characters that end a parameter's name in find-my-way. */
const NAME_ENDS = /[(\-./]/

/**
 * Turns a route's URL in find-my-way's syntax into an AsyncAPI channel address:
 * `/files/:dir/*` becomes `/files/{dir}/{wildcard}`.
 */
export function parseAddress (url: string): Address {
  const optional = /\/:[^/()]*\?\/?$/.test(url)
  const whole = url === '*' ? '/*' : url
  const pattern = optional ? whole.replace(/\?(\/?)$/, '$1') : whole
  const parameters: AddressParameter[] = []
  let address = ''
  const add = (key: string, regex?: string): void => {
    const name = uniqueName(key === '*' ? 'wildcard' : key, parameters)
    parameters.push({ name, key, optional: false, pattern: regex })
    address += `{${name}}`
  }
  for (let i = 0; i < pattern.length;) {
    const character = pattern[i] as string
    if (pattern.startsWith('::', i)) {
      address += ':'
      i += 2
    } else if (character === ':') {
      const length = pattern.slice(i + 1).search(NAME_ENDS)
      const end = length < 0 ? pattern.length : i + 1 + length
      const close = pattern[end] === '(' ? closingParenthesis(pattern, end) : end
      add(pattern.slice(i + 1, end), close > end ? pattern.slice(end + 1, close - 1) : undefined)
      i = close
    } else if (character === '*') {
      add('*')
      i++
    } else {
      // Braces, `?` and `#` have a meaning in an address.
      address += /[{}?#]/.test(character) ? encodeURIComponent(character) : character
      i++
    }
  }
  const last = parameters.at(-1)
  if (optional && last !== undefined) parameters[parameters.length - 1] = { ...last, optional }
  return { address: address === '' ? '/' : address, parameters }
}

/** The index after the parenthesis that closes the one at `open`. */
function closingParenthesis (pattern: string, open: number): number {
  let depth = 0
  for (let i = open; i < pattern.length; i++) {
    if (pattern[i] === '\\') i++
    else if (pattern[i] === '(') depth++
    else if (pattern[i] === ')' && --depth === 0) return i + 1
  }
  return pattern.length
}

/**
 * Builds a unique name. AsyncAPI allows letters, digits, `_` and `-` in the name of a parameter.
 */
function uniqueName (key: string, taken: readonly AddressParameter[]): string {
  const base = key.replace(/[^\w-]/g, '_') || 'parameter'
  let name = base
  for (let n = 2; taken.some((other) => other.name === name); n++) name = `${base}_${n}`
  return name
}
