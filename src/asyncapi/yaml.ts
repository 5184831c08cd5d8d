const AMBIGUOUS = /^(?:true|false|null|yes|no|on|off|y|n)$/i
const PLAIN = /^[A-Za-z/][A-Za-z0-9_./{}()'+-]*(?: [A-Za-z0-9_./{}()'+-]+)*$/

const UNPRINTABLE =
  // eslint-disable-next-line no-control-regex -- control characters have to be escaped
  /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u2028\u2029\uD800-\uDFFF\uFEFF\uFFFE\uFFFF]/g
/** YAML 1.2.2 §7.4.2: an implicit key has at most 1 024 characters. */
const MAX_KEY_LENGTH = 1000

/** Writes JSON data as YAML 1.2, in block style. */
export function toYaml (value: unknown): string {
  return `${write(value, '').trimStart()}\n`
}

/** The text after a `key:` or a `-`, with the space or line break before it. */
function write (value: unknown, indent: string): string {
  if (Array.isArray(value)) return value.length === 0 ? ' []' : writeList(value, indent)
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined)
    return entries.length === 0 ? ' {}' : writeMap(entries, indent)
  }
  // A string as the whole document has no indent. Its lines could be document markers, so it stays
  // on one line.
  return typeof value === 'string'
    ? ` ${writeString(value, indent || undefined)}`
    : ` ${String(value)}`
}

function writeList (items: readonly unknown[], indent: string): string {
  return items.map((item) => {
    const text = write(item, `${indent}  `)
    // The first line of a block follows the dash.
    return `\n${indent}-${text.startsWith('\n') ? ` ${text.trimStart()}` : text}`
  }).join('')
}

function writeMap (entries: ReadonlyArray<[string, unknown]>, indent: string): string {
  return entries.map(([key, item]) => {
    const name = writeString(key, undefined)
    const text = write(item, `${indent}  `)
    return name.length > MAX_KEY_LENGTH
      ? `\n${indent}? ${name}\n${indent}:${text}`
      : `\n${indent}${name}:${text}`
  }).join('')
}

/** Writes a string. Without an indent it stays on one line. */
function writeString (text: string, indent: string | undefined): string {
  if (PLAIN.test(text) && !AMBIGUOUS.test(text)) return text
  if (indent !== undefined && isBlock(text)) return `|-\n${text.replace(/^(?=.)/gm, indent)}`
  return JSON.stringify(text).replace(UNPRINTABLE, (character) =>
    `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** Tells whether a string can be written as a literal block (`|-`). */
function isBlock (text: string): boolean {
  return (
    text.includes('\n') && /^\S/.test(text) && !text.endsWith('\n') && text.search(UNPRINTABLE) < 0
  )
}
