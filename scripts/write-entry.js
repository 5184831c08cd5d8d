'use strict'

// Writes index.js and index.d.ts from the exports of src/index.ts. `npm run build` runs it after
// the compiler.
//
// `require('fastify-websock')` returns the plugin itself, with all other exports as its properties,
// as Fastify's own plugins do. That needs `export =`, which TypeScript does not emit for an ES
// module.
const { existsSync, readFileSync, writeFileSync } = require('node:fs')
const { join } = require('node:path')
const ts = require('typescript')

const root = join(__dirname, '..')
const HEADER = '// Written by scripts/write-entry.js from the exports of src/index.ts.\n'

const { values, types } = readExports(join(root, 'src/index.ts'))
write('index.js', buildScript(values))
write('index.d.ts', buildDeclarations(values, types))

/** Leaves a file alone that is right already: others may be reading it. */
function write (name, text) {
  const path = join(root, name)
  if (!existsSync(path) || readFileSync(path, 'utf8') !== text) writeFileSync(path, text)
}

/** The exported names but `websock` and `default`, values and types apart. */
function readExports (path) {
  const values = []
  const types = []
  const source = ts.createSourceFile(path, ts.sys.readFile(path), ts.ScriptTarget.ES2022)
  for (const node of source.statements) {
    if (ts.isImportDeclaration(node)) continue
    if (!ts.isExportDeclaration(node) || node.exportClause === undefined) {
      throw new Error('src/index.ts may contain only imports and lists of exports')
    }
    for (const { name, isTypeOnly } of node.exportClause.elements) {
      const names = node.isTypeOnly || isTypeOnly ? types : values
      names.push(name.text)
    }
  }
  return {
    values: values.filter((name) => name !== 'websock' && name !== 'default').sort(),
    types: types.sort()
  }
}

function buildScript (values) {
  return `'use strict'

${HEADER}// Node finds the names for \`import { … }\` only where each is assigned by itself.
const lib = require('./dist/index.js')

module.exports = lib.websock
module.exports.default = lib.websock
module.exports.websock = lib.websock
${values.map((name) => `module.exports.${name} = lib.${name}\n`).join('')}`
}

function buildDeclarations (values, types) {
  return `${HEADER}import type { FastifyInstance } from 'fastify'
import {
  ${[...values, ...types.map((name) => `type ${name}`)].join(',\n  ')}
} from './dist/index.js'

type Plugin = typeof websock

/** What index.js is at run time: the plugin, with everything else as its properties. */
declare namespace websock {
  export const websock: Plugin
  export { websock as default }
  export {
    ${values.join(',\n    ')}
  }
  export type {
    ${types.join(',\n    ')}
  }
}

/**
 * The Fastify plugin: \`await app.register(websock, options)\`.
 *
 * Throws a coded error for a wrong or unknown option.
 */
declare function websock (instance: FastifyInstance, options: WebsockOptions): Promise<void>

export = websock
`
}
