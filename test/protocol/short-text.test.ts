import t from 'tap'
import { readAscii, writeUtf8 } from '../../src/protocol/short-text.ts'

void t.test('ASCII of any length and place is read as toString reads it', async (t) => {
  const bytes = Buffer.from(Array.from({ length: 300 }, (_, i) => i & 0x7f))
  for (let from = 0; from < 260; from += 13) {
    for (const length of [0, 1, 2, 39, 40]) {
      t.equal(readAscii(bytes, from, from + length), bytes.toString('ascii', from, from + length))
    }
  }
})

void t.test('a text is written as `write` writes it, lone surrogates included', async (t) => {
  for (const text of [
    '', 'a', 'ä', '€', '😀', '\ud800', 'a\udfffb', 'x'.repeat(500), 'é€😀'.repeat(40)
  ]) {
    for (const at of [0, 1, 7]) {
      const [written, expected] = [Buffer.alloc(2000, 0xaa), Buffer.alloc(2000, 0xaa)]
      t.equal(writeUtf8(written, text, at), expected.write(text, at))
      t.ok(written.equals(expected), `${text.length} units at ${at}`)
    }
  }
})
