'use strict'

/**
 * Compiles the TypeScript of a test process with esbuild, as CommonJS, without a type check.
 * tap's own loader (ts-node) takes seconds for each test file before its first line runs.
 */
const { readFileSync } = require('node:fs')
const Module = require('node:module')
const { pathToFileURL } = require('node:url')
const { transformSync } = require('esbuild')

// Read by @tapjs/typescript, which is loaded after this file: it installs no loader then.
process.env.TAP_TYPE_STRIP_ONLY = '1'

// With `--import`, as tap has it, Node takes the test file itself through its ES module loader.
Module.register('./transpile-hooks.mjs', pathToFileURL(__filename))

Module._extensions['.ts'] = (module, filename) => {
  const { code } = transformSync(readFileSync(filename, 'utf8'), {
    loader: 'ts',
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    sourcemap: 'inline',
    sourcefile: filename
  })
  module._compile(code, filename)
}
