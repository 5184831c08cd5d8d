import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import websock from '../../src/index.ts'
import { asyncapi } from '../../src/asyncapi/index.ts'
import { describe } from '../helpers/asyncapi.ts'
import { buildApp, type App } from '../helpers/server.ts'

const FOLDER = join(__dirname, '../../src/asyncapi/page')

async function fetchPage (
  app: App,
  url: string
): Promise<{ status: number, html: string, files: string[] }> {
  const { statusCode, body } = await app.inject(url)
  const files = [...body.matchAll(/(?:src|href)="(\.[^"]+)"/g)].map(
    ([, path]) => new URL(path as string, `http://host${url}`).pathname
  )
  return { status: statusCode, html: body, files }
}

void t.test(
  'the page and its files are served, with a slash at the end, without, and below a prefix',
  async (t) => {
    for (const [routePrefix, parent, urls] of [
      ['/docs', '', ['/docs', '/docs/', '/docs?a=/', '/docs/?a']],
      ['/a/docs/', '/v1', ['/v1/a/docs', '/v1/a/docs/']],
      ['/', '/root', ['/root/', '/root']],
      ['/', '', ['/']],
      ['/docs', '/:tenant', ['/a/docs', '/a%22%3Cb/docs/']],
      ['/', '/:tenant', ['/a%22%3E']]
    ] as const) {
      const { app } = buildApp(t)
      await app.register(websock)
      await app.register(
        async (child) => {
          await child.register(asyncapi, { routePrefix })
        },
        { prefix: parent }
      )
      await app.ready()
      for (const url of urls) {
        const { status, html, files } = await fetchPage(app, url)
        t.equal(status, 200, url)
        t.notMatch(html, '{{', 'no placeholder is left')
        t.equal(files.length, 5, url)
        for (const file of files) {
          t.equal((await app.inject(file)).statusCode, 200, `${url} ${file}`)
        }
      }
    }
  }
)

void t.test('each file has its type and is sent again only when it has changed', async (t) => {
  const { app, document } = await describe(
    t,
    (app) => {
      app.get('/ws', { websocketHandler: {} })
    },
    { routePrefix: '/docs' }
  )
  const types: Record<string, string> = {
    '': 'text/html',
    'style.css': 'text/css',
    'main.mjs': 'text/javascript',
    'icon.svg': 'image/svg+xml',
    json: 'application/json',
    yaml: 'application/yaml'
  }
  for (const [name, type] of Object.entries(types)) {
    const { statusCode, headers } = await app.inject(`/docs/${name}`)
    t.equal(statusCode, 200)
    t.equal(headers['content-type'], name === 'icon.svg' ? type : `${type}; charset=utf-8`, name)
    t.match(headers, { 'cache-control': 'no-cache', 'x-content-type-options': 'nosniff' })
    const again = await app.inject({
      url: `/docs/${name}`,
      headers: { 'if-none-match': `"other", W/${String(headers['etag'])}` }
    })
    t.equal(again.statusCode, 304, name)
    t.equal(again.body, '')
    t.equal(
      (await app.inject({ url: `/docs/${name}`, headers: { 'if-none-match': '"other"' } }))
        .statusCode,
      200
    )
  }
  t.same((await app.inject('/docs/json')).json(), document)
  t.equal((await app.inject('/docs/yaml')).body, app.asyncapi({ yaml: true }))
  t.equal((await app.inject('/docs/../package.json')).statusCode, 404)
  t.same(Object.keys(document.channels), ['ws'], 'the page itself is not in the document')
})

void t.test(
  'the policy of the page allows only its own files and the servers of the document',
  async (t) => {
    const { app } = await describe(t, () => {}, {
      routePrefix: '/docs',
      servers: {
        a: { host: 'a.example.com:8080', protocol: 'wss' },
        b: { host: "b.example.com; script-src 'unsafe-inline'", protocol: 'ws' },
        c: { host: '{region}.example.com', protocol: 'wss' }
      }
    })
    const { headers, body } = await app.inject('/docs')
    t.equal(
      headers['content-security-policy'],
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
        "connect-src 'self' wss://a.example.com:8080; base-uri 'none'; form-action 'none'; " +
        "frame-ancestors 'none'"
    )
    t.notMatch(body, /<style|<script(?! type="module" src=)| style=| on\w+=/i, 'nothing is inline')
  }
)

void t.test('without a routePrefix there is no page', async (t) => {
  const { app } = await describe(t, () => {})
  t.equal((await app.inject('/docs')).statusCode, 404)
  t.equal((await app.inject('/')).statusCode, 404)
})

void t.test(
  'the page has less than 30 kB gzipped, and uses no API that turns text into markup',
  async (t) => {
    const files = readdirSync(FOLDER).map((name) => readFileSync(join(FOLDER, name)))
    t.ok(files.reduce((sum, file) => sum + gzipSync(file).length, 0) < 30_000)
    for (const file of files) {
      t.notMatch(file.toString(), /innerHTML|outerHTML|insertAdjacentHTML|document\.write/)
      t.notMatch(file.toString(), /eval\(|new Function|DOMParser|createContextualFragment/)
      t.notMatch(file.toString(), /https?:\/\/(?!example|www\.w3\.org)/)
    }
  }
)
