import t from 'tap'
import type { Page } from 'playwright-core'
import websock from '../../src/index.ts'
import { asyncapi } from '../../src/asyncapi/index.ts'
import { openPage, skipWithout } from '../helpers/browser.ts'
import { connect } from '../helpers/client.ts'
import { startExample, type ExampleServer } from '../helpers/example.ts'
import { buildApp, listen } from '../helpers/server.ts'

const skip = skipWithout('chromium')

/** One server for the tests that do not stop it. */
let started: Promise<ExampleServer> | undefined
const example = (): Promise<ExampleServer> => (started ??= startExample(t))
const MARKUP =
  '<img src=x onerror="document.title=\'owned\'"><script>document.title="owned"</script>'

async function connectConsole (page: Page): Promise<void> {
  await page.click('form .primary')
  await page.waitForSelector('.state[data-state=connected]')
}

async function say (page: Page, message: unknown): Promise<void> {
  await page.fill(
    '.composer textarea',
    typeof message === 'string' ? message : JSON.stringify(message)
  )
  await page.press('.composer textarea', 'Control+Enter')
}

function received (page: Page, name: string): ReturnType<Page['locator']> {
  return page.locator(`.log [data-direction=down]:has(strong:text-is("${name}"))`)
}

void t.test('a whole chat works in the console', { skip, timeout: 120_000 }, async (t) => {
  const server = await example()
  const { page, problems } = await openPage(t, server.http('/docs'))
  await page.click('.card:has-text("/ws/chat/{room}")')
  await page.fill('input[name=nick]', 'ann & co')
  await page.fill('input[name=room]', 'a/b')
  t.equal(await page.textContent('.url'), server.ws('/ws/chat/a%2Fb?nick=ann%20%26%20co'))
  await connectConsole(page)
  await received(page, 'here').locator('pre:has-text("ann & co")').waitFor()

  const bob = await connect(t, server.ws('/ws/chat/a%2Fb?nick=bob'))
  await received(page, 'joined').locator('pre:has-text("bob")').waitFor()
  t.match(await page.inputValue('.composer textarea'), '"Hello!"', 'filled from the example')
  await page.click('.composer .primary')
  await received(page, 'said').locator('pre:has-text("Hello!")').waitFor()
  bob.send({ event: 'say', text: MARKUP })
  await received(page, 'said').locator('pre:has-text("<img")').waitFor()
  bob.close()
  await received(page, 'left').waitFor()

  await page.fill('.composer textarea', '{"event":"say","text":""}')
  t.equal(await page.textContent('.verdict'), '/text is shorter than 1')
  t.equal(await page.textContent('.composer .primary'), 'Send anyway')
  await page.fill('.composer textarea', '{')
  t.equal(await page.textContent('.verdict'), 'is not JSON')
  await say(page, { event: 'say', text: 5 })
  await page.waitForSelector('.log [data-direction=note] >> text=closed 1008 policy violation')
  await page.waitForSelector('.state[data-state=closed]')
  await page.fill('input[name=nick]', 'x'.repeat(33))
  await page.click('form .primary')
  await page.waitForSelector('.log [data-direction=note] >> text=The server refused the upgrade')
  t.equal(await page.title(), 'The example server of fastify-websock')
  t.same(problems.filter((text) => !/WebSocket connection to .* failed/.test(text)), [])
})

void t.test('a Gossip login works in the console', { skip, timeout: 120_000 }, async (t) => {
  const server = await example()
  const { page, problems } = await openPage(
    t,
    server.http('/docs#/channels/socket/receive.authenticate')
  )
  await page.waitForSelector('.message[data-key="receive.authenticate"][open] .schema')
  await page.click('.message[data-key="receive.authenticate"] >> text=Try it')
  await connectConsole(page)
  await page.click('.composer .primary')
  await received(page, 'authenticate').locator('pre:has-text("success")').waitFor()
  await page.selectOption('.composer select', 'receive.channels.send')
  t.equal(await page.textContent('.verdict'), 'matches the schema')
  await page.click('.composer .primary')
  await received(page, 'channels/send').locator('pre:has-text("success")').waitFor()
  // The connection stays open while another page is shown.
  await page.click('#results >> text=players/status')
  await page.waitForSelector('.message[open][data-key="receive.players.status"]')
  await page.click('#title')
  await page.goBack()
  await page.waitForSelector('.state[data-state=connected]')
  await page.click('form .primary')
  await page.waitForSelector('.log [data-direction=note] >> text=closed 1000 normal')
  t.same(problems, [])
})

void t.test(
  'raw channels take text and bytes, and a parameter may be left out',
  { skip, timeout: 120_000 },
  async (t) => {
    const server = await example()
    const { page, problems } = await openPage(
      t,
      server.http('/docs#/channels/ws.connection_timer.name')
    )
    await page.fill('input[name=name]', '')
    t.equal(await page.textContent('.url'), server.ws('/ws/connection_timer'))
    await connectConsole(page)
    await say(page, 'request_timer')
    await received(page, 'text')
      .locator('pre:has-text("Connected to /ws/connection_timer for ")')
      .waitFor()
    await page.goto(server.http('/docs#/channels/ws.echo/receive.binary'))
    await page.click('.message[open] >> text=Try it')
    await connectConsole(page)
    await page.fill('.composer textarea', '00 f')
    t.match(await page.textContent('.verdict'), 'hexadecimal')
    await say(page, '00 ff')
    await received(page, 'binary').locator('pre:text-is("00 ff")').waitFor()
    t.same(problems, [])
  }
)

void t.test('no text of a document becomes markup', { skip, timeout: 120_000 }, async (t) => {
  const { app } = buildApp(t, { fastify: { routerOptions: { maxParamLength: 500 } } })
  await app.register(websock)
  await app.register(asyncapi, {
    info: {
      title: MARKUP,
      version: MARKUP,
      description: MARKUP,
      contact: { name: MARKUP, url: 'javascript:document.title="owned"' },
      license: { name: MARKUP, url: 'https://example.com/"onmouseover="x' }
    },
    tags: [{ name: 'x', description: MARKUP }],
    routePrefix: '/docs'
  })
  const Odd = {
    $id: 'x',
    type: 'object',
    title: MARKUP,
    description: MARKUP,
    properties: {
      [MARKUP]: { type: 'string', description: MARKUP, default: MARKUP, enum: [MARKUP] },
      event: { const: MARKUP }
    },
    required: ['event'],
    examples: [{ event: MARKUP }]
  }
  app.get('/:odd/*', {
    schema: {
      summary: MARKUP,
      description: `${MARKUP}\n\n\`${MARKUP}\``,
      tags: [MARKUP, 'x'],
      params: { type: 'object', properties: { odd: { type: 'string', enum: [MARKUP] } } },
      querystring: { type: 'object', properties: { q: { type: 'string', examples: [MARKUP] } } },
      websocket: { receive: Odd, send: Odd }
    },
    websocketHandler: {
      handleIn: (_message: unknown, _state: unknown, ws: any) => ws.push({ event: MARKUP })
    }
  } as never)
  const { http } = await listen(app)
  const { page, problems } = await openPage(t, http('/docs'))
  await page.waitForSelector('.card')
  t.equal(await page.locator('a[href^="javascript:" i]').count(), 0)
  for (const hash of [
    '#/channels/odd',
    '#/schemas/x',
    `#/${encodeURIComponent(MARKUP)}/%E0%A4%A`
  ]) {
    await page.goto(http(`/docs${hash}`))
    await page.waitForSelector('h1')
    t.equal(await page.locator('img, main script, nav script').count(), 0, hash)
  }
  await page.goto(http('/docs'))
  await page.click('.card')
  for (const message of await page.locator('.message > summary').all()) await message.click()
  await page.click('text=Try it')
  await connectConsole(page)
  await page.click('.composer .primary')
  await page.locator('.log [data-direction=down] pre').waitFor()
  t.equal(await page.locator('img, main script, nav script').count(), 0)
  t.equal(
    await page.title(),
    MARKUP,
    'the title of the document, which no script has changed'
  )
  t.same(problems, [])
})

void t.test(
  'the page can be searched and used by keyboard, and fits a phone',
  { skip, timeout: 120_000 },
  async (t) => {
    const server = await example()
    const { page, problems } = await openPage(t, server.http('/docs'))
    await page.waitForSelector('.card')
    await page.keyboard.press('/')
    await page.keyboard.type('tells sent_at')
    t.equal(
      await page.locator('#results .entry').count(),
      0,
      'fields within the payload are not searched'
    )
    await page.fill('#search', 'tells/send')
    t.equal(await page.locator('#results .entry').count(), 2)
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('Enter')
    await page.waitForSelector('.message[open][data-key="receive.tells.send"]')
    t.match(page.url(), '#/channels/socket/receive.tells.send')
    await page.fill('#search', 'no such thing')
    await page.waitForSelector('#results >> text=Nothing found.')

    await page.setViewportSize({ width: 360, height: 640 })
    for (const hash of ['#/', '#/channels/socket/receive.tells.send', '#/channels/ws.chat.room']) {
      await page.goto(server.http(`/docs${hash}`))
      await page.waitForSelector('h1')
      t.ok(
        await page.evaluate('document.documentElement.scrollWidth <= innerWidth'),
        `${hash} does not scroll sideways`
      )
    }
    await page.click('[data-for=console]')
    t.ok(await page.isVisible('.console'))
    t.notOk(await page.isVisible('#nav'))
    await page.click('#menu')
    t.ok(await page.isVisible('#nav'))
    await page.keyboard.press('Escape')
    t.notOk(await page.isVisible('#nav'))
    t.same(problems, [])
  }
)
