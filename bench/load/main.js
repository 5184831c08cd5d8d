'use strict'

const { answerParent } = require('../harness/control')
const { closeClients, openClients } = require('./clients')
const { measureEcho } = require('./echo')
const { measureFanOut } = require('./fan-out')
const { buildBurst, buildClose, buildOrder } = require('./messages')
const { measureQuiet } = require('./quiet')
const { measureSetUp } = require('./set-up')
const { measureStream } = require('./stream')

const FLOOD_BURST = 256

/** Clients by the name of who is measured. */
const groups = new Map()

answerParent({
  async open ({ group, target, count }) {
    groups.set(group, await openClients(target, count))
  },
  close ({ group }) {
    closeClients(groups.get(group) ?? [])
    groups.delete(group)
  },
  echo: ({ group, payload, inFlight, times }) =>
    measureEcho(groups.get(group), buildBurst(payload, inFlight), times),
  fanOut: ({ group, socketIo, count, times }) =>
    measureFanOut(groups.get(group), buildOrder(socketIo, count), times),
  across: ({ group, socketIo, count, times }) =>
    measureFanOut(groups.get(group), buildOrder(socketIo, count), times, true),
  quiet: ({ group, times }) =>
    measureQuiet(
      groups.get(group),
      { flood: buildBurst('text', FLOOD_BURST), single: buildBurst('text', 1) },
      times
    ),
  setUp: ({ target, times }) =>
    measureSetUp(target, { ...buildBurst('text', 1), close: buildClose() }, times),
  stream: ({ group, times }) =>
    measureStream(groups.get(group), buildOrder(false, 1).message, times)
})

process.send({ id: 'ready' })
