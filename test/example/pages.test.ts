import t from 'tap'
import type { Page } from 'playwright-core'
import { openPage, skipWithout } from '../helpers/browser.ts'
import { startExample } from '../helpers/example.ts'

const skip = skipWithout('chromium')

async function state (page: Page, name: string): Promise<void> {
  await page.waitForSelector(`#state[data-state="${name}"]`)
}

void t.test('the index page says what is here', { skip }, async (t) => {
  const server = await startExample(t)
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
    await state(page, 'disconnected')
    await page.press('#name', 'Enter')
    await state(page, 'connected')
    await page.click('#request')
    await page.waitForSelector('#log [data-direction=up] >> text="request_timer"')
    await page.waitForSelector(
      '#log [data-direction=down] >> text="Connected to /ws/connection_timer/b%2F%C3%A9 for 0s."'
    )
    await page.waitForSelector(
      '#log [data-direction=down] >> text="Alert for /ws/connection_timer/b%2F%C3%A9 after 1s."'
    )
    t.same(problems, [])

    await server.stop()
    await page.waitForSelector('#last-close >> text=1012')
    await state(page, 'reconnecting')
    server = await startExample(t, server.port)
    await state(page, 'connected')
    await page.click('#request')
    await page.waitForSelector(
      '#log [data-direction=down] >> text="Connected to /ws/connection_timer/b%2F%C3%A9 for 0s." >> nth=1'
    )

    await page.click('#disconnect')
    await state(page, 'disconnected')
    await page.waitForSelector('#last-close >> text=1000')
  }
)

void t.test('two browsers chat, and markup stays text', { skip, timeout: 90_000 }, async (t) => {
  let server = await startExample(t)
  const [ann, bob] = (await Promise.all(
    ['ann', 'bob'].map((nick) => openPage(t, server.http(`/chat?room=lobby&nick=${nick}`)))
  )) as [Awaited<ReturnType<typeof openPage>>, Awaited<ReturnType<typeof openPage>>]
  for (const { page } of [ann, bob]) {
    await page.click('#join')
    await state(page, 'connected')
  }
  await ann.page.waitForSelector('#here >> text=bob')
  await bob.page.fill('#text', 'hello <b>bold</b><img src=x onerror=alert(1)>')
  await bob.page.press('#text', 'Enter')
  for (const { page } of [ann, bob]) {
    await page.waitForSelector(
      '#messages .message .text >> text="hello <b>bold</b><img src=x onerror=alert(1)>"'
    )
    t.equal(await page.locator('#messages b, #messages img').count(), 0, 'no element came of it')
  }
  t.equal(await bob.page.locator('#messages .message[data-own=true]').count(), 1)
  t.equal(await ann.page.locator('#messages .message[data-own=true]').count(), 0)
  t.same([...ann.problems, ...bob.problems], [])

  await server.stop()
  await state(ann.page, 'reconnecting')
  server = await startExample(t, server.port)
  for (const { page } of [ann, bob]) await state(page, 'connected')
  await ann.page.waitForSelector('#here >> text=bob')
  await ann.page.fill('#text', 'still here')
  await ann.page.click('#send')
  await bob.page.waitForSelector('#messages .message >> text="still here"')

  await bob.page.click('#leave')
  await ann.page.waitForSelector('#here >> text=bob', { state: 'detached' })
})
