// A published engine and a published plugin, each with a scripted peer in memory.
const { PluginManager, Engine, Plugin } = require('@remixproject/engine')
const { createConnectorClient, PluginClient } = require('@remixproject/plugin')

/** Messages are JSON on the wire. */
const sent = message => JSON.parse(JSON.stringify(message))

/** An engine with the plugins `local` and `asker`, and its websocket connector to a plugin `probe`. */
exports.publishedEngine = async function (inbox) {
  let deliver, opened
  globalThis.window = globalThis
  globalThis.WebSocket = class {
    constructor() { this.OPEN = this.readyState = 1 }
    addEventListener(event, listener) { if (event === 'open') opened = listener; if (event === 'message') deliver = listener }
    removeEventListener() {}
    send(text) { inbox.push(JSON.parse(text)) }
    close() {}
  }
  const { WebsocketPlugin } = require('@remixproject/engine-web')
  class Local extends Plugin {
    constructor() { super({ name: 'local', methods: ['echo', 'refuse'] }) }
    echo(value) { return value }
    refuse() { throw new Error('local refuses') }
  }
  class Asker extends Plugin {
    constructor() { super({ name: 'asker', methods: ['ask'] }) }
    ask() { return this.call('probe', 'm') }
  }
  const manager = new PluginManager()
  new Engine().register([manager, new Local(), new Asker(), new WebsocketPlugin({ name: 'probe', url: 'ws://probe', methods: [] })])
  await manager.activatePlugin(['local', 'asker', 'probe'])
  opened()
  return { inbox, send: data => deliver({ data }) }
}

/** A plugin `probe` over the connector of all transports but the websocket: it checks that a method exists before it responds. */
exports.publishedPlugin = function (inbox) {
  let deliver
  class Probe extends PluginClient {
    constructor() { super({ customApi: {} }); this.methods = ['echo', 'fail', 'relay', 'ping'] }
    echo(value) { return value }
    fail() { throw new Error('it fails') }
    relay(name, method, ...args) { return this.call(name, method, ...args) }
  }
  const probe = new Probe()
  probe['tools.ping'] = () => 'pong'
  createConnectorClient({ send: message => inbox.push(sent(message)), on: listener => { deliver = listener } }, probe)
  const send = text => {
    let message
    try { message = JSON.parse(text) } catch { return }
    try { deliver(message) } catch { /* errors that would end its process */ }
  }
  return { inbox, send }
}
