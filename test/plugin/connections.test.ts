import t from 'tap'
import { connect } from '../helpers/client.ts'
import { startServer } from '../helpers/server.ts'

void t.test('an app counts its connections, and closes those of a route', async (t) => {
  let release = (): void => {}
  const released = new Promise<void>((resolve) => { release = resolve })
  const server = await startServer(t, (app) => {
    const websocketHandler = {
      init: (_args: unknown, ws: any) => ws.push(ws.id),
      handleInfo: (_info: unknown, _state: unknown, ws: any) => ws.stop('normal', [4001, 'kicked']),
      // Connections that have begun to end are not counted, also while `terminate` runs.
      terminate: async () => await released
    }
    app.get('/rooms/:room', { websocketHandler })
    app.register(async (scope) => { scope.get('/chat', { websocketHandler }) }, { prefix: '/v2' })
    app.get('/count', () => ({
      size: app.websock.connections.size,
      routes: app.websock.connections.countByRoute()
    }))
    app.post('/kick', () => {
      let kicked = 0
      for (const { route, ref } of app.websock.connections) {
        if (route === '/rooms/:room' && ref.post('kick')) kicked++
      }
      return { kicked }
    })
  })
  const count = async (): Promise<unknown> => await (await fetch(server.http('/count'))).json()
  t.same(await count(), { size: 0, routes: {} })
  const clients = []
  const ids: string[] = []
  for (const path of ['/rooms/1', '/v2/chat', '/rooms/2', '/rooms/1']) {
    const client = await connect(t, server.url(path))
    clients.push(client)
    ids.push(String(await client.next()))
  }
  t.same(await count(), { size: 4, routes: { '/rooms/:room': 3, '/v2/chat': 1 } })
  t.same(
    [...server.app.websock.connections].map(({ id, ref }) => [id, ref.address]),
    ids.map((id) => [id, id]),
    'in the order of their upgrades'
  )
  t.same(await (await fetch(server.http('/kick'), { method: 'POST' })).json(), { kicked: 3 })
  for (const i of [0, 2, 3]) t.same(await clients[i]?.closed, { code: 4001, reason: 'kicked' })
  t.same(await count(), { size: 1, routes: { '/v2/chat': 1 } })
  clients[1]?.close()
  await clients[1]?.closed
  t.same(await count(), { size: 0, routes: {} })
  release()
})
