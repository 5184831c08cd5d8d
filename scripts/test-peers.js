'use strict'

// Installs the packed package with npm, in an empty folder for each
// set of peers, and runs a server and a client there: as ES module and as CommonJS. The newest
// TypeScript with the newest @types/node checks the declarations of the package there, too.
// `npm run test:peers` takes the lowest peers of package.json and the newest;
// `npm run test:peers -- 5.12.4` takes that version of Fastify.
const { execFileSync, spawnSync } = require('node:child_process')
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { peerDependencies } = require('../package.json')

const root = join(__dirname, '..')
const lowest = (name) => /\d+\.\d+\.\d+/.exec(peerDependencies[name])[0]
const newest = /\d+\.\d+\.\d+-[\w.]+/.exec(peerDependencies.fastify)[0]
const SETS = [
  { fastify: lowest('fastify'), typebox: lowest('typebox') },
  { fastify: '5', typebox: '1' },
  // Fastify 6 needs Node 22.
  ...(Number(process.versions.node.split('.')[0]) >= 22 ? [{ fastify: newest, typebox: '1' }] : [])
]

const BODY = `
async function main () {
  const app = Fastify()
  await app.register(websock)
  app.get('/', {
    schema: {
      websocket: {
        receive: Type.Object({ n: Type.Integer() }),
        send: Type.Object({ n: Type.Integer() })
      }
    },
    websocketHandler: { handleIn: ({ n }, _state, ws) => ws.push({ n: n + 1 }) }
  })
  const client = await connect(app, '/')
  client.send({ n: 1 })
  const { n } = await client.next()
  await app.close()
  if (n !== 2) throw new Error('got ' + n)
}
main().catch((error) => { console.error(error); process.exit(1) })
`
const PROGRAMS = {
  'server.mjs': `import Fastify from 'fastify'
import websock from 'fastify-websock'
import { connect } from 'fastify-websock/testing'
import { Type } from 'typebox'
${BODY}`,
  // TypeBox is an ES module alone.
  'server.cjs': `const Fastify = require('fastify')
const websock = require('fastify-websock')
const { connect } = require('fastify-websock/testing')
let Type
${BODY.replace('const app =', "({ Type } = await import('typebox'))\n  const app =")}`
}

const folder = mkdtempSync(join(tmpdir(), 'fastify-websock-peers-'))
try {
  const [{ filename }] = JSON.parse(
    npm(root, 'pack', '--json', '--ignore-scripts', '--pack-destination', folder)
  )
  const asked = process.argv.slice(2).map((fastify) => ({ fastify, typebox: '1' }))
  for (const set of asked.length > 0 ? asked : SETS) tryPeers(join(folder, filename), set)
} finally {
  rmSync(folder, { recursive: true, force: true })
}

/** Prints one line; a program that fails ends this one with its output. */
function tryPeers (tarball, { fastify, typebox }) {
  const consumer = mkdtempSync(join(folder, 'consumer-'))
  writeFileSync(join(consumer, 'package.json'), '{ "private": true }')
  // Without --force or --legacy-peer-deps: a peer out of range fails here.
  npm(consumer, 'install', '--no-audit', '--no-fund', '--strict-peer-deps', tarball,
    `fastify@${fastify}`, `typebox@${typebox}`)
  for (const [name, text] of Object.entries(PROGRAMS)) {
    writeFileSync(join(consumer, name), text)
    execFileSync(process.execPath, [name], { cwd: consumer, stdio: 'inherit', timeout: 60_000 })
  }
  checkDeclarations(consumer)
  const installed = ['fastify', 'typebox', 'typescript', '@types/node'].map((name) =>
    `${name} ${require(join(consumer, 'node_modules', name, 'package.json')).version}`)
  console.log(`ok Node ${process.version}, ${installed.join(', ')}: ` +
    `${Object.keys(PROGRAMS).join(', ')}`)
}

/**
 * Throws when TypeScript finds an error in the package's declarations or in their import, or does
 * not run. Errors in the declarations of others are not counted.
 */
function checkDeclarations (consumer) {
  const types = ['typescript@latest', '@types/node@latest']
  npm(consumer, 'install', '--no-audit', '--no-fund', '--save-dev', ...types)
  const source = "import websock from 'fastify-websock'\nexport { websock }\n"
  writeFileSync(join(consumer, 'types.mts'), source)
  const { status, stdout, stderr } = spawnSync(process.execPath, [
    'node_modules/typescript/bin/tsc', '--noEmit', '--strict', '--skipLibCheck', 'false',
    '--module', 'nodenext', '--target', 'es2022', '--types', 'node', 'types.mts'
  ], { cwd: consumer, encoding: 'utf8' })
  const errors = stdout
    .split('\n')
    .filter((line) => /fastify-websock\/|^types\.mts|^error /.test(line))
  if (errors.length > 0) throw new Error(errors.join('\n'))
  if (status !== 0 && !stdout.includes('error TS')) throw new Error(`tsc failed: ${stderr}`)
}

function npm (cwd, ...args) {
  return execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
}
