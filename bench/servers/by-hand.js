'use strict'

const Ajv = require('ajv')
const { sayMessage } = require('../load/messages')
const { subscribeEach } = require('./topics')

const TIMER_INTERVAL_MS = 1000

/**
 * What one writes on a socket of ws without a framework: for each task a listener for new sockets.
 */
const TASKS_BY_HAND = {
  echo: () => (socket) => {
    socket.on('message', (data, binary) => socket.send(data, { binary }))
  },

  idle: () => () => {},

  /** Parse, validate, stringify. */
  json () {
    const validate = new Ajv().compile({
      type: 'object',
      properties: { type: { const: 'say' }, id: { type: 'integer' }, text: { type: 'string' } },
      required: ['type', 'id', 'text']
    })
    return (socket) => {
      socket.on('message', (data, binary) => {
        if (binary) return socket.close(1007)
        let message
        try {
          message = JSON.parse(data.toString())
        } catch {
          return socket.close(1007)
        }
        if (!validate(message)) return socket.close(1008)
        socket.send(JSON.stringify(message))
      })
    }
  },

  fanOut () {
    const sockets = new Set()
    const text = sayMessage(0)
    return (socket) => {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
      socket.on('message', (order) => {
        for (let left = countOrdered(order.toString()); left > 0; left--) {
          for (const each of sockets) each.send(text)
        }
      })
    }
  },

  /** Who is told of a topic, and for the end of a socket which topics it has. */
  subscribe (commands) {
    const sockets = new Set()
    const subscribers = new Map()
    const topics = new Map()
    const add = (map, key, value) => {
      if (!map.has(key)) map.set(key, new Set())
      map.get(key).add(value)
    }
    commands.subscribe = () => subscribeEach(sockets, (socket, topic) => {
      add(subscribers, topic, socket)
      add(topics, socket, topic)
    })
    return (socket) => {
      sockets.add(socket)
      socket.on('close', () => {
        sockets.delete(socket)
        for (const topic of topics.get(socket) ?? []) {
          const left = subscribers.get(topic)
          left.delete(socket)
          if (left.size === 0) subscribers.delete(topic)
        }
        topics.delete(socket)
      })
    }
  },

  timer () {
    const text = sayMessage(0)
    return (socket) => {
      const timer = setInterval(() => socket.send(text), TIMER_INTERVAL_MS)
      socket.on('close', () => clearInterval(timer))
    }
  }
}

/** How many messages the load wants for everybody: its order is "go 8". */
function countOrdered (order) {
  return Number(order.slice(3))
}

module.exports = { TASKS_BY_HAND, TIMER_INTERVAL_MS, countOrdered }
