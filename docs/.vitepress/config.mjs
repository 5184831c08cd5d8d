import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitepress'

const folder = fileURLToPath(new URL('..', import.meta.url))

/** In this order. A page that is in none of the groups comes under "More". */
const GROUPS = {
  Start: ['tutorial', 'coming-from'],
  Guide: [
    'handler', 'messages', 'upgrade', 'topics', 'mailbox', 'ending', 'client', 'testing',
    'asyncapi', 'engines'
  ],
  Recipes: [
    'recipes/auth', 'recipes/push-from-http', 'recipes/kick', 'recipes/large-rooms',
    'recipes/stream', 'recipes/proxies', 'recipes/rolling-deploys'
  ],
  Reference: ['options', 'errors', 'type-errors', 'compatibility'],
  Production: ['operating', 'observing', 'security', 'performance', 'hostile']
}

export default defineConfig({
  title: 'fastify-websock',
  description: 'Stateful, typed, validated WebSocket endpoints for Fastify',
  cleanUrls: true,
  srcExclude: ['README.md'],
  // Files of the repository, which are not part of the site.
  ignoreDeadLinks: [/^(\.\/)?(\.\.\/)+(example|test|bench|src|README|SECURITY|CHANGELOG)/],
  themeConfig: {
    search: { provider: 'local' },
    sidebar: sidebar(),
    outline: 'deep'
  }
})

function sidebar () {
  const grouped = Object.values(GROUPS).flat()
  const more = pagesIn('').filter((page) => page !== 'index' && !grouped.includes(page))
  return Object.entries({ ...GROUPS, More: more })
    .map(([text, pages]) => ({ text, items: pages.filter(exists).map(item) }))
    .filter(({ items }) => items.length > 0)
}

function item (page) {
  return { text: titleOf(page), link: `/${page}` }
}

function titleOf (page) {
  return /^# (.+)$/m.exec(readFileSync(`${folder}/${page}.md`, 'utf8'))?.[1] ?? page
}

function exists (page) {
  return existsSync(`${folder}/${page}.md`)
}

function pagesIn (path) {
  return readdirSync(`${folder}/${path}`)
    .filter((name) => name.endsWith('.md') && name !== 'README.md')
    .map((name) => `${path}${name.slice(0, -3)}`)
}
