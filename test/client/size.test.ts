import t from 'tap'
import { BUNDLES, measure } from './size.js'

// The budget of the client: 3 kB, minified and gzipped.
const MOST_BYTES = 3000

void t.test('the whole client has 3 kB at most', async (t) => {
  for (const [name, contents] of Object.entries(BUNDLES)) {
    const bytes = measure(contents)
    t.ok(bytes > 1000 && bytes <= MOST_BYTES, `${name}: ${bytes} bytes`)
  }
})
