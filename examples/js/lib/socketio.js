// An engine's connector that is a socket.io client, in Node and in a page.
const { io } = require('socket.io-client')
const { PluginConnector } = require('@remixproject/engine')

exports.SocketIOPlugin = class extends PluginConnector {
  async connect(url) {
    this.socket = io(url, { forceNew: true })
    this.socket.on('message', message => this.getMessage(message))
    // The socket reconnects on its own, but the plugin's session is gone.
    this.socket.on('disconnect', reason => reason === 'io client disconnect' || console.error(`the link to ${url} is lost: ${reason}`))
    await new Promise((done, fail) => this.socket.once('connect', done).once('connect_error', fail))
  }
  disconnect() { this.socket.disconnect() }
  send(message) { this.socket.send(message) }
}
