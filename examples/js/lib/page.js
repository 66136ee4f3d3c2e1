// The page of `browser-engine.js`: the same engine as in Node, on the browser's sockets.
const { WebsocketPlugin } = require('@remixproject/engine-web')
const { runScript } = require('./engine')
const { SocketIOPlugin } = require('./socketio')

const connectors = { ws: WebsocketPlugin, socketio: SocketIOPlugin }
globalThis.run = (kind, url, script) => {
  if (!connectors[kind]) throw new Error(`--plugin is one of ${Object.keys(connectors)}`)
  const probe = new connectors[kind]({ name: 'probe', url, methods: [] })
  return runScript(probe, script, line => globalThis.report(JSON.stringify(line)))
}
