// An engine that is a plugin's socket.io client: `node socketio-engine.js --url http://127.0.0.1:PORT [--script FILE]`.
const { drive, flag } = require('./lib/cli')
const { SocketIOPlugin } = require('./lib/socketio')

drive(new SocketIOPlugin({ name: 'probe', url: flag('url'), methods: [] }))
