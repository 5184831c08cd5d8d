import { Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import t from 'tap'
import { FastLane } from '../../src/connection/fast-lane.ts'
import { binary, closeFrame, frame, text } from '../helpers/raw.ts'

/** A lane whose ws only keeps what it is handed. */
function open () {
  const socket = new Socket()
  const handed: Buffer[] = []
  const read: string[] = []
  const ends: string[] = []
  socket.on('data', (chunk: Buffer) => { handed.push(Buffer.from(chunk)) }).on('end', () => { ends.push('FIN') })
  const listener = {
    messagesRead: 0,
    maxMessageBytes: 1000,
    readText: (data: string) => { read.push(data) },
    readBinary: (data: Buffer) => { read.push(data.toString('hex')) },
    flush: () => {}
  }
  const lane = FastLane.open(socket, listener)
  return { lane, handed, read, ends, socket, come: (...frames: Buffer[]) => socket.emit('data', Buffer.concat(frames)) }
}

void t.test('plain frames are read without ws, and it is handed nothing of them', async (t) => {
  const { handed, read, come } = open()
  come(text('a'), binary(Buffer.from([1, 255])), text('\u00e9'), text(''), text('x'.repeat(500)))
  t.same(read, ['a', '01ff', '\u00e9', '', 'x'.repeat(500)])
  t.same(handed, [])
})

void t.test('what is not plain is handed over untouched, and the plain frames around it are not', async (t) => {
  const { handed, read, come } = open()
  const ping = frame(9, 'p')
  const begun = text('in two chunks')
  come(text('a'), ping, text('b'), begun.subarray(0, 1))
  t.same(handed, [ping, begun.subarray(0, 1)])
  come(begun.subarray(1, 5))
  t.same(handed.at(-1), begun.subarray(1, 5))
  t.same(read, ['a', 'b'])
})

void t.test('a stream that is no socket, or that somebody else reads too, has no lane', async (t) => {
  const listener = { messagesRead: 0, maxMessageBytes: 1, readText () {}, readBinary () {}, flush () {} }
  t.equal(FastLane.open(new PassThrough().on('data', () => {}), listener), undefined)
  t.equal(FastLane.open(new Socket(), listener), undefined)
  t.equal(FastLane.open(new Socket().on('data', () => {}).on('data', () => {}), listener), undefined)
})

void t.test('FIN is handed over, but not when a closing handshake has ended our side already', async (t) => {
  const unannounced = open()
  unannounced.come(text('a'))
  unannounced.socket.emit('end')
  t.same(unannounced.ends, ['FIN'])
  const unanswered = open()
  unanswered.come(closeFrame(1000))
  unanswered.socket.emit('end')
  t.same(unanswered.ends, ['FIN'])
  const ended = open()
  ended.socket.end()
  ended.socket.emit('end')
  t.same(ended.ends, ['FIN'], 'by whomever')
  const done = open()
  done.come(closeFrame(1000))
  done.socket.end()
  done.socket.emit('end')
  t.same(done.ends, [])
})
