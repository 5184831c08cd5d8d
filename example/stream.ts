import { setTimeout as later } from 'node:timers/promises'
import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const Ask = Type.Object({ event: Type.Literal('ask'), prompt: Type.String({ maxLength: 1000 }) })
const Cancel = Type.Object({ event: Type.Literal('cancel') })
const Token = Type.Object({ event: Type.Literal('token'), text: Type.String() })
const Done = Type.Object({ event: Type.Literal('done'), cancelled: Type.Boolean() })

export interface StreamOptions {
  /** Generates the tokens of an answer, like a language model. */
  answer?: (prompt: string, signal: AbortSignal) => AsyncIterable<string>
}

interface State {
  task?: { cancel: () => void }
}

/** Streams an answer token by token, at the pace of the client. A message cancels it. */
export const stream: FastifyPluginAsyncTypebox<StreamOptions> = async (app, { answer = spell }) => {
  app.get('/ws/stream', {
    schema: {
      summary: 'Answers a prompt token by token',
      tags: ['demo'],
      websocket: { receive: Type.Union([Ask, Cancel]), send: Type.Union([Token, Done]) }
    },
    websocketHandler: {
      init: (_args, ws) => ws.ok<State>({}),
      on: {
        event: {
          ask ({ prompt }, { task }, ws) {
            task?.cancel()
            return ws.ok({
              task: ws.run(async (signal) => {
                for await (const text of answer(prompt, signal)) {
                // Waits while the client reads slowly. False when the connection ends.
                  if (signal.aborted || !await ws.drained()) break
                  ws.send({ event: 'token', text })
                }
                ws.send({ event: 'done', cancelled: signal.aborted })
              })
            })
          },
          cancel (_message, { task }) { task?.cancel() }
        }
      }
    }
  })
}

/** Replaces a model: yields the words of the prompt, one each 100 ms. */
async function * spell (prompt: string, signal: AbortSignal): AsyncIterable<string> {
  for (const word of prompt.split(/\s+/)) {
    await later(100, undefined, { signal }).catch(() => {})
    yield word
  }
}
