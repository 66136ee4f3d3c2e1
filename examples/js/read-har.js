// Validates a HAR file, and prints the number of its websockets and of their messages.
const fs = require('fs')
const validate = require('har-validator')

const har = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'))
validate.har(har).then(() => {
  const sockets = har.log.entries.filter(entry => entry._resourceType === 'websocket')
  const messages = sockets.flatMap(entry => entry._webSocketMessages)
  for (const { type, time, opcode, data } of messages) {
    if (!['send', 'receive'].includes(type) || !(time > 1.6e9) || opcode !== 1) throw new Error(`not a message: ${type} ${time} ${opcode}`)
    JSON.parse(data)
  }
  console.log(JSON.stringify({ sockets: sockets.length, messages: messages.length, sent: messages.filter(({ type }) => type === 'send').length }))
}).catch(error => {
  console.error(error.errors ?? error)
  process.exit(1)
})
