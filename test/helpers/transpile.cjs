'use strict'

/**
 * Compiles the TypeScript of a test process with esbuild, as CommonJS, without a type check.
 * tap's own loader (ts-node) takes seconds for each test file before its first line runs.
 * What was compiled is kept in `node_modules/.cache/`, for the other test processes: they share
 * most of `src/`, and starting esbuild and compiling it again took a third of their start.
 */
const { createHash } = require('node:crypto')
const { mkdirSync, readFileSync, renameSync, writeFileSync } = require('node:fs')
const Module = require('node:module')
const { join } = require('node:path')
const { pathToFileURL } = require('node:url')
const { version } = require('esbuild/package.json')

const CACHE = join(__dirname, '../../node_modules/.cache/test-transpile')
const OPTIONS = {
  loader: 'ts',
  format: 'cjs',
  platform: 'node',
  target: 'node20',
  sourcemap: 'inline',
  sourcesContent: false
}

// Read by @tapjs/typescript, which is loaded after this file: it installs no loader then.
process.env.TAP_TYPE_STRIP_ONLY = '1'

// With `--import`, as tap has it, Node takes the test file itself through its ES module loader.
Module.register('./transpile-hooks.mjs', pathToFileURL(__filename))

Module._extensions['.ts'] = (module, filename) => {
  module._compile(compile(filename), filename)
}

function compile (filename) {
  const source = readFileSync(filename, 'utf8')
  const options = { ...OPTIONS, sourcefile: filename }
  const key = createHash('sha1').update(JSON.stringify([version, options, source])).digest('hex')
  const cached = join(CACHE, `${key}.js`)
  try {
    return readFileSync(cached, 'utf8')
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
  }
  const { code } = require('esbuild').transformSync(source, options)
  mkdirSync(CACHE, { recursive: true })
  // Renamed, so that no other process reads a half of it.
  writeFileSync(`${cached}.${process.pid}`, code)
  renameSync(`${cached}.${process.pid}`, cached)
  return code
}
