'use strict'

/**
 * Compiles the TypeScript of a test process with esbuild, as CommonJS, without a type check. tap's
 * own loader (ts-node) takes seconds for each test file. The compiled files are cached in
 * `node_modules/.cache/` for other test processes. They share most of `src/`, and compiling it
 * again took a third of their start time.
 */
const { createHash } = require('node:crypto')
const { mkdirSync, readFileSync, renameSync, writeFileSync } = require('node:fs')
const Module = require('node:module')
const { join } = require('node:path')
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

// tap makes each child process record the files it loads, for the coverage report. It is off, and
// recording takes half a second for each child.
process.env.NODE_OPTIONS = (process.env.NODE_OPTIONS ?? '')
  .replace(/"?--import=\S+@tapjs\/processinfo\S+/, '')

// Loads the test file as CommonJS. Node then starts no ES module loader, and does not load the
// modules that tap names with `--import`. They serve `t.mockImport` and the coverage report, which
// are not used, and take half of the start time of a test process.
Module.runMain = () => Module._load(process.argv[1], null, true)

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
  // Renamed after writing, so that no other process reads an incomplete file.
  writeFileSync(`${cached}.${process.pid}`, code)
  renameSync(`${cached}.${process.pid}`, cached)
  return code
}
