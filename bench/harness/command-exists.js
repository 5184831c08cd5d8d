'use strict'

const { accessSync, constants } = require('node:fs')
const { delimiter, join } = require('node:path')

function commandExists (name) {
  return process.env.PATH.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

module.exports = { commandExists }
