'use strict'

// Prints one line for each artefact that a browser loads: its size, its size gzipped and the limit.
const { readdirSync, readFileSync } = require('node:fs')
const { join } = require('node:path')
const { gzipSync } = require('node:zlib')

const root = join(__dirname, '..')
const ARTEFACTS = [
  { name: 'asyncapi page', folder: 'src/asyncapi/page', maxGzipped: 30_000 }
]

for (const { name, folder, maxGzipped } of ARTEFACTS) {
  const files = readdirSync(join(root, folder))
    .map((file) => readFileSync(join(root, folder, file)))
  const sum = (numbers) => numbers.reduce((total, number) => total + number, 0)
  const bytes = sum(files.map((file) => file.length))
  // Each file by itself, as it travels.
  const gzipped = sum(files.map((file) => gzipSync(file, { level: 9 }).length))
  console.log(`${name}: ${bytes} bytes, ${gzipped} gzipped, at most ${maxGzipped}`)
  if (gzipped > maxGzipped) process.exitCode = 1
}
