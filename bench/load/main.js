'use strict'

const { answerParent } = require('../harness/control')
const { closeClients, openClients } = require('./clients')
const { measureEcho } = require('./echo')
const { buildBurst } = require('./messages')

const groups = new Map()

answerParent({
  async open ({ group, target, count }) {
    groups.set(group, await openClients(target, count))
  },
  close ({ group }) {
    closeClients(groups.get(group) ?? [])
    groups.delete(group)
  },
  echo: ({ group, payload, inFlight, slice }) => measureEcho(groups.get(group), buildBurst(payload, inFlight), slice)
})

process.send({ id: 'ready' })
