// A plugin that is a socket.io server: `node socketio-plugin.js [--port 0] [--allow-origin ORIGIN]`; prints {"event":"ready","url"}.
const http = require('http').createServer()
const { Server } = require('socket.io')
const { createConnectorClient } = require('@remixproject/plugin')
const { report, flag } = require('./lib/cli')
const { serveProbe } = require('./lib/probe')

// Without CORS for its origin, a page's browser does not let it read the responses.
const server = new Server(http, { cors: { origin: flag('allow-origin', false) } })
server.on('connection', socket => {
  report({ event: 'connection' })
  const link = { send: message => socket.send(message), on: cb => socket.on('message', cb) }
  serveProbe(probe => createConnectorClient(link, probe), report)
  socket.on('disconnect', reason => report({ event: 'close', reason }))
})
http.listen(+flag('port', 0), '127.0.0.1', () => report({ event: 'ready', url: `http://127.0.0.1:${http.address().port}` }))
