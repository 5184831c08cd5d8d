'use strict'

// The page of fastify-websock/asyncapi is no TypeScript: `npm run build` copies it. Another folder of
// built files than dist may be named: `node scripts/copy-page.js FOLDER`.
const { cpSync, rmSync } = require('node:fs')
const { join, resolve } = require('node:path')

const root = join(__dirname, '..')
const target = join(resolve(root, process.argv[2] ?? 'dist'), 'asyncapi', 'page')
rmSync(target, { recursive: true, force: true })
cpSync(join(root, 'src', 'asyncapi', 'page'), target, { recursive: true })
