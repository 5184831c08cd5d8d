'use strict'

// Copies the page of fastify-websock/asyncapi, which is plain JavaScript, to `dist`, or to another
// folder: `node scripts/copy-page.js FOLDER`. `npm run build` runs it.
const { cpSync, rmSync } = require('node:fs')
const { join, resolve } = require('node:path')

const root = join(__dirname, '..')
const target = join(resolve(root, process.argv[2] ?? 'dist'), 'asyncapi', 'page')
rmSync(target, { recursive: true, force: true })
cpSync(join(root, 'src', 'asyncapi', 'page'), target, { recursive: true })
