'use strict'

// Builds the site of docs/ into docs/.vitepress/dist. Installs VitePress first where it is not
// there; after that no network is needed.
const { execFileSync } = require('node:child_process')
const { existsSync } = require('node:fs')
const { join } = require('node:path')

const folder = join(__dirname, '..', 'docs')
const run = (...args) => execFileSync('npm', args, { stdio: 'inherit' })

if (!existsSync(join(folder, 'node_modules/vitepress'))) run('ci', '--prefix', folder)
run('run', '--silent', '--prefix', folder, 'build')
