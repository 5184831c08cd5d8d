import t from 'tap'
import { readAscii, writeUtf8 } from '../../src/protocol/short-text.ts'

void t.test('readAscii returns the same text as toString', async (t) => {
  const bytes = Buffer.from(Array.from({ length: 300 }, (_, i) => i & 0x7f))
  for (let from = 0; from < 260; from += 13) {
    for (const length of [0, 1, 2, 39, 40]) {
      t.equal(readAscii(bytes, from, from + length), bytes.toString('ascii', from, from + length))
    }
  }
})

void t.test('writeUtf8 writes the same bytes as write, also for lone surrogates', async (t) => {
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
