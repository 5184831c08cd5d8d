import t from 'tap'
import { unmask } from '../../src/protocol/unmask.ts'

void t.test(
  'each length and alignment is unmasked as in RFC 6455, and bytes beyond ASCII are reported',
  async (t) => {
    const key = [0x12, 0xfe, 0x80, 0x37]
    for (const length of [0, 1, 2, 3, 4, 5, 7, 125, 255, 256, 257, 258, 259, 1000, 4099, 65_535]) {
      for (let at = 0; at < 8; at++) {
        const plain = Buffer.from(Array.from({ length }, (_, i) => i % 128))
        // The bytes before and after must not change. The view does not begin where its memory
        // begins.
        const bytes = Buffer.alloc(length + 40, 0xaa).subarray(3)
        const from = at + 4
        bytes.set(key, at)
        for (const [i, byte] of plain.entries()) bytes[from + i] = byte ^ (key[i % 4] as number)
        const masked = Buffer.from(bytes)
        t.equal(unmask(bytes, from, from + length), true)
        if (!bytes.subarray(from, from + length).equals(plain)) {
          t.fail(`${length} bytes at ${at} are unmasked wrongly`)
        }
        unmask(bytes, from, from + length)
        if (!bytes.equals(masked)) {
          t.fail(
          `${length} bytes at ${at} are not restored by a second unmask`
          )
        }
        // One byte that is not ASCII, at each place.
        for (const i of length < 300 ? plain.keys() : [0, 1, length >> 1, length - 2, length - 1]) {
          bytes.set(masked)
          bytes[from + i] = (masked[from + i] as number) ^ 0x80
          if (unmask(bytes, from, from + length)) {
            t.fail(`${length} bytes at ${at}, not ASCII at ${i}`)
          }
        }
      }
    }
  }
)
