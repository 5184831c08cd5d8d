// The client in a browser: events of the page, React and Svelte.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { resolve } from 'node:path'
import { buildSync } from 'esbuild'
import t from 'tap'
import type { Page } from 'playwright-core'
import { openPage, skipWithout } from '../helpers/browser.ts'
import type { Teardown } from '../helpers/server.ts'
import type { ClientState } from '../../src/client/types.ts'
import { connect, defer, startScripted, until } from './helpers.ts'

const skip = skipWithout('chromium')

// The script of a page. `window.url` is the address of the server.
const PAGE = `
import { connect } from 'fastify-websock/client'
import { createElement, StrictMode, useSyncExternalStore } from 'react'
import { createRoot } from 'react-dom/client'
import { derived, get } from 'svelte/store'

// A random wait may be much shorter than its bound.
Math.random = () => 0.9
const waits = { firstWaitMs: 100_000, maxWaitMs: 100_000 }
const open = (options) => connect(window.url, { ...waits, ...options })

window.open = (options) => { window.client = open(options) }
window.watch = () => {
  const { client } = window
  const useClient = () => useSyncExternalStore(client.subscribe, client.getSnapshot)
  const App = () => createElement('p', { id: 'react' }, useClient().status)
  window.root = createRoot(document.querySelector('main'))
  window.root.render(createElement(StrictMode, null, createElement(App)))
  window.statuses = []
  window.end = derived(client, ($client) => $client.status)
    .subscribe((status) => window.statuses.push(status))
  window.got = get(client).status
}
`

/** Opens a page with that script and the address of a server. */
async function open (t: Teardown, url: string): Promise<{ page: Page, problems: string[] }> {
  const { outputFiles: [script] } = buildSync({
    stdin: { contents: PAGE, resolveDir: resolve(__dirname, '../..') },
    bundle: true,
    format: 'iife',
    platform: 'browser',
    define: { 'process.env.NODE_ENV': '"development"' },
    write: false
  })
  const server = createServer((_request, response) => {
    response
      .setHeader('content-type', 'text/html; charset=utf-8')
      .end(
        '<!doctype html><link rel="icon" href="data:,"><main></main><script>window.url = ' +
        `${JSON.stringify(url)};${script?.text.replaceAll('</script', '<\\/script') ?? ''}</script>`
      )
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close(); server.closeAllConnections() })
  return openPage(t, `http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
}

async function untilStatus (page: Page, wanted: string): Promise<void> {
  await page.waitForFunction(`window.client.getSnapshot().status === '${wanted}'`)
}

void t.test(
  'a page that is shown, or that comes online, does not wait for the next attempt',
  { skip, timeout: 90_000 },
  async (t) => {
    const server = await startScripted(
      t,
      ({ socket }) => {
        socket.on('message', () => socket.terminate())
      },
      (socket, index) => {
        if (index === 0) socket.destroy()
        return index === 0
      }
    )
    const { page } = await open(t, server.url)
    await page.evaluate('window.open()')
    await untilStatus(page, 'waiting')
    // Headless pages are always visible, so the test dispatches the event of a hidden page.
    const show = async (hidden: boolean): Promise<void> => {
      await page.evaluate(
        `Object.defineProperty(document, 'hidden', { value: ${hidden}, configurable: true }); ` +
        "document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))"
      )
    }
    await show(true)
    t.equal(server.upgrades, 1, 'no attempt while the page is hidden')
    await untilStatus(page, 'waiting')
    await show(false)
    await untilStatus(page, 'open')
    await page.evaluate('window.client.send({})')
    await untilStatus(page, 'waiting')
    await page.context().setOffline(true)
    await page.context().setOffline(false)
    await untilStatus(page, 'open')
    t.equal(server.upgrades, 3)

    await page.evaluate('window.client.send({})')
    await untilStatus(page, 'waiting')
    await page.evaluate('window.client.close()')
    await show(false)
    t.equal(await page.evaluate('window.client.getSnapshot().status'), 'closed')
    t.equal(server.upgrades, 3)
  }
)

void t.test('a page that is shown pings at once', { skip, timeout: 90_000 }, async (t) => {
  const pings: unknown[] = []
  const second = defer<void>('second connection', 60_000)
  const server = await startScripted(t, ({ socket, index }) => {
    if (index === 1) second.resolve()
    socket.on('message', (data) => {
      pings.push(JSON.parse(String(data)))
      if (index > 0) socket.send('{}')
    })
  })
  const { page } = await open(t, server.url)
  await page.evaluate(
    "window.open({ firstWaitMs: 1, ping: { message: () => ({ event: 'ping' }), " +
    'intervalMs: 100_000, timeoutMs: 100 } })'
  )
  await untilStatus(page, 'open')
  await page.evaluate("document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))")
  await second.promise
  t.same(pings, [{ event: 'ping' }], 'the first connection did not answer, and was replaced')
})

void t.test('React and Svelte use the client as a store', { skip, timeout: 90_000 }, async (t) => {
  const server = await startScripted(t, ({ socket, index }) => {
    if (index === 0) socket.on('message', () => socket.close(1011))
  })
  const { page, problems } = await open(t, server.url)
  await page.evaluate('window.open({ firstWaitMs: 1 }); window.watch()')
  t.equal(await page.evaluate('window.got'), 'connecting')
  await page.waitForSelector('#react >> text="open"')
  await page.evaluate('window.client.send({})')
  await page.waitForFunction("window.statuses.filter((status) => status === 'open').length === 2")
  await page.evaluate('window.client.close()')
  await page.waitForSelector('#react >> text="closed"')
  t.same(await page.evaluate('window.statuses'), [
    'connecting',
    'open',
    'waiting',
    'connecting',
    'open',
    'closed'
  ])
  await page.evaluate('window.root.unmount(); window.end()')
  t.same(problems, [])
})

void t.test('subscribe follows the store contract of Svelte', async (t) => {
  const server = await startScripted(t)
  const client = connect(t, server.url)
  // https://svelte.dev/docs/svelte/stores#Store-contract. `get` of svelte/store does the same.
  let value: ClientState | undefined
  client.subscribe((state) => { value = state })()
  t.equal(value, client.getSnapshot())
  await until(client, 'open')
  t.equal(value?.status, 'connecting', 'an ended subscription is not called again')
})
