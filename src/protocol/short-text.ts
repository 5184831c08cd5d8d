/**
 * Undocumented methods of Node's Buffer, which `toString` and `write` call after checking their
 * arguments. For short texts those checks take as long as the work.
 */
interface UncheckedBuffer {
  latin1Slice? (from: number, to: number): string
  utf8Write? (text: string, at: number): number
}

const { latin1Slice, utf8Write } = Buffer.prototype as UncheckedBuffer

/** Decodes bytes that are ASCII. */
export function readAscii (bytes: Buffer, from: number, to: number): string {
  return latin1Slice === undefined
    ? bytes.toString('latin1', from, to)
    : latin1Slice.call(bytes, from, to)
}

/** Writes a text as UTF-8. The caller ensures that there is room. Returns the number of bytes. */
export function writeUtf8 (bytes: Buffer, text: string, at: number): number {
  return utf8Write === undefined ? bytes.write(text, at) : utf8Write.call(bytes, text, at)
}
