import t from 'tap'
import type { PresenceDiff } from '../../src/index.ts'
import { MemoryNetwork } from '../../src/testing/engines/index.ts'
import { ready, startNode, until } from '../helpers/cluster.ts'

void t.test(
  'a publication by a listener arrives after the handled one, at all listeners of all nodes',
  async (t) => {
    const network = new MemoryNetwork()
    const [one, two] = [
      await startNode(t, network.createEngine()),
      await startNode(t, network.createEngine())
    ]
    const { websock } = one.app
    const [first, second, far]: [unknown[], unknown[], unknown[]] = [[], [], []]
    websock.subscribe<number>('r', {
      handleInfo: (info) => {
        if (first.push(info) < 3) websock.publish('r', info + 1)
      }
    })
    websock.subscribe('r', {
      handleInfo: (info) => {
        second.push(info)
      }
    })
    two.app.websock.subscribe('r', {
      handleInfo: (info) => {
        far.push(info)
      }
    })
    const client = await one.join('r')
    await ready(one, two)
    websock.publish('r', 1)
    t.same(
      [first, second],
      [
        [1, 2, 3],
        [1, 2, 3]
      ],
      'within the first call of publish'
    )
    for (const n of [1, 2, 3]) t.equal(await client.next(), `info ${n}`)
    await until(() => far.length === 3, 'all publications on the other node')
    t.same(far, [1, 2, 3])
  }
)

void t.test(
  'a listener may subscribe and unsubscribe itself and others while they are called',
  async (t) => {
    const {
      app: { websock }
    } = await startNode(t, undefined)
    const calls: string[] = []
    const again = {
      handleInfo: () => {
        calls.push('again')
        websock.unsubscribe('r', again)
        if (calls.length < 100) websock.subscribe('r', again)
      }
    }
    const left = {
      handleInfo: () => {
        calls.push('left')
      }
    }
    const other = {
      handleInfo: () => {
        calls.push('other')
        websock.unsubscribe('r', left)
        websock.subscribe('r', {
          handleInfo: () => {
            calls.push('new')
          }
        })
      }
    }
    for (const listener of [again, other, left]) websock.subscribe('r', listener)
    websock.publish('r', 1)
    t.same(calls.splice(0), ['again', 'other'])
    websock.publish('r', 2)
    t.same(calls.sort(), ['again', 'new', 'other'])
  }
)

void t.test('a listener may track and untrack in handlePresence', async (t) => {
  const { app: { websock } } = await startNode(t, undefined)
  const seen = new Set<string>()
  const wrong: string[] = []
  websock.subscribe('one', {
    handlePresence: () => {
      websock.untrack('two', 'brief')
      websock.track('two', 'long', 2)
    }
  })
  websock.subscribe('two', {
    handlePresence: ({ joins, leaves }: PresenceDiff) => {
      for (const { key, meta } of leaves) {
        if (!seen.delete(`${key} ${String(meta)}`)) wrong.push(`${key} leaves and was not there`)
      }
      for (const { key, meta } of joins) seen.add(`${key} ${String(meta)}`)
    }
  })
  websock.track('one', 'somebody')
  websock.track('two', 'brief', 1)
  websock.track('two', 'long', 1)
  await until(() => seen.has('long 2'), 'the last change')
  t.same([[...seen], wrong], [['long 2'], []])
})
