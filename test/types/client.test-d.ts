/* What the client makes of a route's contract, of one written by hand, and of none. */
import { Type, type TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { WebSocket } from 'ws'
import { connect, type Client, type ClientState, type SendResult } from '../../src/client/index.ts'
import { withTypeProvider, type ContractOf, type SchemaContract } from '../../src/index.ts'
import { expectType } from './expect.ts'

const schema = {
  websocket: {
    receive: Type.Union([
      Type.Object({ event: Type.Literal('say'), text: Type.String() }),
      Type.Object({ event: Type.Literal('list'), ref: Type.String(), all: Type.Boolean() })
    ]),
    send: Type.Union([
      Type.Object({ event: Type.Literal('said'), text: Type.String() }),
      Type.Object({
        event: Type.Literal('nicks'),
        ref: Type.String(),
        nicks: Type.Array(Type.String())
      })
    ])
  }
} as const
const route = withTypeProvider<TypeBoxTypeProvider>().defineWebsocketRoute({
  schema,
  websocketHandler: { handleIn: () => {} }
})
interface Said { event: 'said', text: string }
interface Nicks { event: 'nicks', ref: string, nicks: string[] }

void route

async function check (client: Client<ContractOf<typeof route>>): Promise<void> {
  expectType<SendResult>()(client.send({ event: 'say', text: 'x' }))
  // @ts-expect-error -- what the server sends
  client.send({ event: 'said', text: 'x' })
  // @ts-expect-error -- a field is missing
  client.send({ event: 'say' })
  client.on('said', (message) => expectType<Said>()(message))
  const end = client.on('nicks', ({ nicks }) => expectType<string[]>()(nicks))
  end()
  // @ts-expect-error -- what the client sends
  client.on('say', () => {})
  expectType<Nicks>()(await client.request({ event: 'list', all: true }))
  expectType<Nicks>()(await client.request(
    { event: 'list', all: true, ref: 'mine' },
    { timeoutMs: 5, signal: AbortSignal.timeout(1) }
  ))
  // @ts-expect-error -- has no reference
  void client.request({ event: 'say', text: 'x' })
  for await (const message of client) expectType<Said | Nicks>()(message)
  expectType<ClientState>()(client.getSnapshot())
  client.subscribe((state) => {
    if (state.status === 'waiting') expectType<number>()(state.until)
    if (state.status === 'closed') expectType<string>()(state.reason)
  })()
}
void check
void (() => check(connect<SchemaContract<TypeBoxTypeProvider, typeof schema>>('ws://x')))

// The names of a contract that are written as those of the route's generics.
const named = connect<{
  Receive: { event: 'add' }
  Send: { event: 'sum', sum: number }
  Params: unknown
}>('ws://x')
named.send({ event: 'add' })
named.on('sum', ({ sum }) => expectType<number>()(sum))

// Other names of the two fields.
interface ByHand {
  send: { type: 'add', id: number } | { type: 'ping' },
  receive: { type: 'sum', id: number, sum: number } | { type: 'pong' }
}
const url = async ({ signal }: { signal: AbortSignal }) =>
  signal.aborted ? 'ws://x' : new URL('ws://y')
const other = connect<ByHand, 'type', 'id'>(url, {
  field: 'type',
  ref: 'id',
  WebSocket,
  ping: { message: () => ({ type: 'ping' }) },
  onMessage: (message) => expectType<ByHand['receive']>()(message),
  onDrop: (message) => expectType<ByHand['send']>()(message),
  giveUp: ({ attempts, opened }) => opened && attempts > 3
})
other.on('sum', ({ sum }) => expectType<number>()(sum))
void (async () => expectType<number>()((await other.request({ type: 'add' })).sum))
// @ts-expect-error -- the field is `type`
connect<ByHand, 'type'>('ws://x', { field: 'event' })
// @ts-expect-error -- no such message
connect<ByHand>('ws://x', { ping: { message: () => ({ type: 'pong' }) } })
// @ts-expect-error -- no such policy
connect('ws://x', { queue: { policy: 'drop' } })
// @ts-expect-error -- no such option
connect('ws://x', { retries: 3 })

// Without a contract messages are unknown.
const untyped = connect('ws://x')
untyped.send({ whatever: 1 })
untyped.on('said', (message) => expectType<unknown>()(message))
void (async () => expectType<unknown>()(await untyped.request({ event: 'x' })))
