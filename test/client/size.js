'use strict'

/* `npm run size`: prints the size of the client, minified and gzipped. */
const { resolve } = require('node:path')
const { gzipSync } = require('node:zlib')
const { buildSync } = require('esbuild')

const root = resolve(__dirname, '../..')

const BUNDLES = {
  'whole client': "export * from 'fastify-websock/client'",
  'connect and send':
    "import { connect } from 'fastify-websock/client'\nconnect('ws://localhost').send({})"
}

/** The size in bytes of a bundle, minified and gzipped. */
function measure (contents) {
  const { outputFiles } = buildSync({
    stdin: { contents, resolveDir: root },
    bundle: true,
    format: 'esm',
    target: 'es2022',
    minify: true,
    write: false
  })
  return gzipSync(outputFiles[0].contents, { level: 9 }).length
}

module.exports = { BUNDLES, measure }

if (require.main === module) {
  for (const [name, contents] of Object.entries(BUNDLES)) {
    process.stdout.write(`${name}: ${measure(contents)} bytes gzipped\n`)
  }
}
