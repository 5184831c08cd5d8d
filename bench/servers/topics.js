'use strict'

const TOPICS = 1000
const TOPICS_PER_CONNECTION = 10

/** Subscribes each connection to topics of its own, as many connections to each. */
function subscribeEach (connections, subscribe) {
  let number = 0
  for (const connection of connections) {
    for (let each = 0; each < TOPICS_PER_CONNECTION; each++) {
      subscribe(connection, nameTopic((number + each * TOPICS / TOPICS_PER_CONNECTION) % TOPICS))
    }
    number++
  }
}

/** Twelve characters, a new string each time: as when it has just come in a message. */
function nameTopic (number) {
  return `market-${10_000 + number}`
}

module.exports = { TOPICS, TOPICS_PER_CONNECTION, subscribeEach }
