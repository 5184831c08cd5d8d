import { deepStrictEqual } from 'node:assert'
import t from 'tap'
import { Presence } from '../../src/pubsub/presence.ts'
import { MemoryNetwork } from '../../src/testing/engines/index.ts'
import { ready, startNode, until } from '../helpers/cluster.ts'

const nested = (levels: number): string => `${'['.repeat(levels)}${']'.repeat(levels)}`

void t.test(
  'a meta that is nested too deeply is refused, and other nodes get later entries',
  async (t) => {
    const network = new MemoryNetwork()
    const [one, two] = [
      await startNode(t, network.createEngine()),
      await startNode(t, network.createEngine())
    ]
    await ready(one, two)
    for (const levels of [65, 4096]) {
      const client = await one.join('r')
      client.send(`track deep ${nested(levels)}`)
      t.equal((await client.closed).code, 1011)
    }
    t.match(
      one.logs.filter(({ level }) => level === 50).map(({ err }) => err?.code),
      ['FST_WEBSOCK_UNTRACKABLE', 'FST_WEBSOCK_UNTRACKABLE']
    )
    one.app.websock.track('r', 'good', JSON.parse(nested(64)))
    await until(() => two.app.websock.presence('r').length === 1, 'the meta of 64 levels')
    // The other node has missed a change, so it asks for all entries and compares them.
    network.goDown()
    one.app.websock.track('r', 'missed')
    await new Promise((resolve) => setImmediate(resolve))
    network.goUp()
    await until(() => two.app.websock.presence('r').length === 2, 'all entries on the other node')
  }
)

void t.test(
  'a received meta that is larger or deeper than allowed is refused',
  async (t) => {
    const presence = new Presence({
      node: 'n',
      hasEngine: true,
      sendToNodes: () => {},
      presenceChanged: () => {},
      presenceIncomplete: () => {}
    })
    const delta = (version: number, json: string): unknown => ({
      type: 'delta',
      version,
      joins: [['r', 'k', 'x.1', JSON.parse(json)]],
      leaves: []
    })
    for (const json of [`"${'x'.repeat(9000)}"`, nested(65), nested(4096), nested(100_000)]) {
      t.notOk(presence.receive('x', delta(1, json)))
      t.notOk(
        presence.receive('x', {
          type: 'part',
          version: 1,
          part: 0,
          parts: 1,
          entries: [['r', 'k', 'x.1', JSON.parse(json)]]
        })
      )
    }
    t.same(presence.of('r'), [])
    for (const version of [1, 2]) t.ok(presence.receive('x', delta(version, nested(64))))
    deepStrictEqual(presence.of('r'), [{ key: 'k', meta: JSON.parse(nested(64)), address: 'x.1' }])
  }
)
