import t from 'tap'
import type { Page } from 'playwright-core'
import { openPage, skipWithout } from '../helpers/browser.ts'
import { startExample, type ExampleServer } from '../helpers/example.ts'

const skip = skipWithout('chromium')

/** One server for the tests that do not stop it. */
let started: Promise<ExampleServer> | undefined
const example = (): Promise<ExampleServer> => (started ??= startExample(t))

async function untilState (page: Page, name: string): Promise<void> {
  await page.waitForSelector(`#state[data-state="${name}"]`)
}

void t.test('the index page has the URL of the echo, and links to demos', { skip }, async (t) => {
  const server = await example()
  const { page, problems } = await openPage(t, server.http('/'))
  await page.waitForSelector(`#echo-url >> text="${server.ws('/ws/echo')}"`)
  await page.getByRole('link', { name: /timer/i }).first().click()
  await page.waitForURL('**/connection-timer')
  t.same(problems, [])
})

void t.test(
  'the timer page asks, is alerted, and comes back after a restart of the server',
  { skip, timeout: 90_000 },
  async (t) => {
    let server = await startExample(t)
    const { page, problems } = await openPage(
      t,
      server.http('/connection-timer?name=b%2F%C3%A9&everyMs=300')
    )
    t.equal(await page.inputValue('#name'), 'b/é')
    await untilState(page, 'connected')
    const url = server.ws('/ws/connection_timer/b%2F%C3%A9?everyMs=300')
    t.match(
      await page.locator('#log .entry').first().textContent(),
      `connecting to ${url}`,
      'the page connects when it opens'
    )
    await page.click('#request')
    await page.waitForSelector('#log [data-direction=up] >> text="request_timer"')
    const received = (words: string) =>
      `#log [data-direction=down] >> text=/^${words} \\/ws\\/connection_timer\\/b%2F%C3%A9 ` +
      '[a-z]+ \\d+s\\.$/'
    await page.waitForSelector(received('Connected to'))
    await page.waitForSelector(received('Alert for'))
    t.same(problems, [])

    await server.stop()
    await page.waitForSelector('#last-close >> text=1012')
    await untilState(page, 'reconnecting')
    server = await startExample(t, server.port)
    await untilState(page, 'connected')
    await page.click('#request')
    await page.waitForSelector(`${received('Connected to')} >> nth=1`)

    await page.click('#disconnect')
    await untilState(page, 'disconnected')
    await page.waitForSelector('#last-close >> text=1000')
  }
)

const PHONE = { width: 360, height: 640 }

/** Whether all of an element is on the screen, as the page is scrolled now. */
async function isInView (page: Page, selector: string): Promise<boolean> {
  const box = await page.locator(selector).first().boundingBox()
  return box !== null && box.y >= 0 && box.y + box.height <= PHONE.height
}

void t.test('the timer page shows its log above the fold on a phone', { skip }, async (t) => {
  const server = await example()
  const { page, problems } = await openPage(t, server.http('/'))
  await page.setViewportSize(PHONE)
  await page.goto(server.http('/connection-timer'))
  await untilState(page, 'connected')
  await page.waitForSelector('#log .entry >> text=connected')
  t.ok(await isInView(page, '#log .entry'))
  t.ok(await isInView(page, '#log .entry:nth-child(2)'))
  t.ok(await isInView(page, '#request'))
  t.same(problems, [])
})

void t.test(
  'the chat page keeps the message field in view on a phone, and remembers the name',
  { skip },
  async (t) => {
    const server = await example()
    const { page, problems } = await openPage(t, server.http('/chat'))
    await page.setViewportSize(PHONE)
    t.equal(await page.inputValue('#nick'), '')
    await page.fill('#nick', 'vic')
    await page.click('#join')
    await untilState(page, 'connected')
    for (let i = 0; i < 30; i++) {
      await page.fill('#text', `message ${i}`)
      await page.press('#text', 'Enter')
      await page.waitForSelector(`#messages >> text="message ${i}"`)
      t.ok(await isInView(page, '#text'), 'the field stays in view')
    }
    t.ok(await isInView(page, '#messages .message:last-child'), 'the last message stays in view')
    await page.reload()
    t.equal(await page.inputValue('#nick'), 'vic')
    await page.goto(server.http('/chat?nick=pat'))
    t.equal(await page.inputValue('#nick'), 'pat')
    t.same(problems, [])
  }
)

void t.test('each page links to the code behind it', { skip }, async (t) => {
  const server = await example()
  for (const [path, name] of [
    ['/connection-timer', 'connection-timer.ts'],
    ['/chat', 'chat.ts'],
    ['/gossip', 'gossip.ts']
  ] as const) {
    const { page, problems } = await openPage(t, server.http(path))
    const hrefs = await page.locator('a[href^="/code/"], a[href^="/pages/"]')
      .evaluateAll((links: any[]) => links.map(({ href }) => href as string))
    t.ok(hrefs.some((href) => href.endsWith(`/${name}`)))
    for (const href of hrefs) {
      const answer = await fetch(href)
      t.equal(answer.status, 200, href)
      t.match(answer.headers.get('content-type'), /^text\/(plain|javascript)/)
    }
    t.same(problems, [])
  }
})

void t.test('two browsers chat, and markup stays text', { skip, timeout: 90_000 }, async (t) => {
  let server = await startExample(t)
  const [ann, bob] = (await Promise.all(
    ['ann', 'bob'].map((nick) => openPage(t, server.http(`/chat?room=lobby&nick=${nick}`)))
  )) as [Awaited<ReturnType<typeof openPage>>, Awaited<ReturnType<typeof openPage>>]
  for (const { page } of [ann, bob]) {
    await page.click('#join')
    await untilState(page, 'connected')
  }
  await ann.page.waitForSelector('#here >> text=bob')
  await bob.page.fill('#text', 'hello <b>bold</b><img src=x onerror=alert(1)>')
  await bob.page.press('#text', 'Enter')
  for (const { page } of [ann, bob]) {
    await page.waitForSelector(
      '#messages .message .text >> text="hello <b>bold</b><img src=x onerror=alert(1)>"'
    )
    t.equal(
      await page.locator('#messages b, #messages img').count(),
      0,
      'the text creates no element'
    )
  }
  t.equal(await bob.page.locator('#messages .message[data-own=true]').count(), 1)
  t.equal(await ann.page.locator('#messages .message[data-own=true]').count(), 0)
  t.same([...ann.problems, ...bob.problems], [])

  await server.stop()
  await untilState(ann.page, 'reconnecting')
  server = await startExample(t, server.port)
  for (const { page } of [ann, bob]) await untilState(page, 'connected')
  await ann.page.waitForSelector('#here >> text=bob')
  await ann.page.fill('#text', 'still here')
  await ann.page.click('#send')
  await bob.page.waitForSelector('#messages .message >> text="still here"')

  await bob.page.click('#leave')
  await ann.page.waitForSelector('#here >> text=bob', { state: 'detached' })
})
