import t from 'tap'
import { openPage, skipWithout } from '../helpers/browser.ts'
import { connect } from '../helpers/client.ts'
import { startExample } from '../helpers/example.ts'
import { authentication, joinAs, makeGame } from '../helpers/gossip.ts'
import { startNodes } from '../helpers/gossip-nodes.ts'

const GAMES = [
  makeGame('Ann'),
  makeGame('Bob'),
  makeGame('Hid', { display: false }),
  makeGame('Pat', { display_players: false })
]

void t.test(
  'the page shows the games, their players, and what they say',
  { skip: skipWithout('chromium'), timeout: 90_000 },
  async (t) => {
    const [server] = await startNodes(t, 1, GAMES)
    const { page, problems } = await openPage(t, server!.http('/'))
    await page.getByRole('link', { name: 'Gossip' }).first().click()
    await page.waitForURL('**/gossip')
    await page.waitForSelector('#state[data-state=connected]')
    await page.waitForSelector(`#socket-url >> text="${server!.ws('/socket')}"`)
    t.equal(await page.locator('#games .game').count(), 0)

    const [ann, bob] = await Promise.all(
      GAMES.slice(0, 2).map((game) =>
        joinAs(t, server!.ws('/socket'), game, {
          supports: ['channels', 'players'],
          channels: ['gossip'],
          players: ['<i>Al</i>'],
          user_agent: 'Agent 1.0'
        })
      )
    )
    await page.waitForSelector('#games .game[data-game=Ann] .here li >> text="<i>Al</i>"')
    await page.waitForSelector('#games .game[data-game=Bob] >> text="Agent 1.0"')
    for (const [client, name, message] of [
      [ann!, 'Al', 'hello there'],
      [bob!, 'Bo', 'hi <b>bold</b> 1 > 0']
    ] as const) {
      client.send({ event: 'channels/send', payload: { channel: 'gossip', name, message } })
    }
    await page.waitForSelector(
      '#talk .message:has(.nick:text("Al@Ann")):has(.tag:text("gossip")) >> text="hello there"'
    )
    await page.waitForSelector('#talk .message:has(.nick:text("Bo@Bob")) >> text="hi bold 1 > 0"')
    ann!.send({ event: 'players/sign-in', payload: { name: 'Amy' } })
    await page.waitForSelector('#games .game[data-game=Ann] .here li >> text="Amy"')
    ann!.send({ event: 'players/sign-out', payload: { name: 'Amy' } })
    await page.waitForSelector('#games .game[data-game=Ann] .here li >> text="Amy"', {
      state: 'detached'
    })
    t.equal(await page.locator('#games i, #talk b').count(), 0, 'markup stays text')
    t.same(problems, [])
  }
)

void t.test(
  'a visitor speaks as one of the demo games',
  { skip: skipWithout('chromium'), timeout: 90_000 },
  async (t) => {
    const server = await startExample(t)
    const { page, problems } = await openPage(t, server.http('/gossip'))
    await page.waitForSelector('#state[data-state=connected]')
    const say = async (game: string, player: string, text: string): Promise<void> => {
      await page.selectOption('#game', game)
      await page.fill('#player', player)
      await page.fill('#text', text)
      await page.press('#text', 'Enter')
      await page.waitForSelector(
        `#talk .message:has(.nick:text("${player}@${game}")):has(.tag:text("gossip")) >> ` +
        `text="${text}"`
      )
      // Without waiting: it was told before the talk.
      t.equal(await page.locator(`#games .game[data-game=${game}] .here li`).count(), 1)
    }
    await say('Brume', 'Vic', 'hello')
    await say('Ardent', 'Ann', 'hi')
    await say('Brume', 'Vic', 'and again')
    t.equal(await page.inputValue('#text'), '')
    await page.fill('#channel', 'all')
    await page.fill('#text', 'nowhere')
    await page.click('#send')
    await page.waitForSelector('#outcome >> text=Could not subscribe to "all"')
    t.equal(await page.inputValue('#text'), 'nowhere', 'what was not sent stays')
    t.same(problems, [])
  }
)

void t.test(
  'a server with games of its own lets nobody speak from the page',
  { skip: skipWithout('chromium') },
  async (t) => {
    const [server] = await startNodes(t, 1, GAMES)
    const { page, problems } = await openPage(t, server!.http('/gossip'))
    await page.waitForSelector('#state[data-state=connected]')
    t.notOk(await page.locator('#speak').isVisible())
    t.same(problems, [])
  }
)

void t.test('a game is shown before it talks, however soon that is', async (t) => {
  const [server] = await startNodes(t, 1, GAMES)
  const pages = [
    await connect(t, server!.ws('/ws/gossip')),
    await connect(t, server!.ws('/ws/gossip'))
  ]
  for (const game of GAMES.slice(0, 2)) {
    const client = await connect(t, server!.ws('/socket'))
    client.send(authentication(game, { channels: ['gossip'] }))
    client.send({ event: 'channels/send', payload: { channel: 'gossip', message: 'hello' } })
    for (const page of pages) {
      let online = false
      for (;;) {
        const message: any = await page.nextJson(20_000)
        if (message.event === 'offline') t.fail('no game has left')
        if (message.event === 'talk') break
        online ||= message.games.some((one: any) => one.game === game.short_name)
      }
      t.ok(online, game.short_name)
    }
  }
})

void t.test(
  'what the page is told has no hidden game and no hidden player, and it cannot say anything',
  async (t) => {
    const [server] = await startNodes(t, 1, GAMES)
    for (const game of [GAMES[2]!, GAMES[3]!, GAMES[0]!]) {
      await joinAs(t, server!.ws('/socket'), game, { players: ['Al'] })
    }
    const client = await connect(t, server!.ws('/ws/gossip'))
    t.match(await client.nextJson(), {
      event: 'online',
      games: [
        { game: 'Ann', players: ['Al'] },
        { game: 'Pat', players: [] }
      ]
    })
    client.send({
      event: 'talk',
      channel: 'gossip',
      game: 'Ann',
      name: 'Al',
      message: 'forged',
      at: 1
    })
    t.equal((await client.closed).code, 1008)
  }
)
