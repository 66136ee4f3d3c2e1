// The published engine's connectors, and the plugins of an engine in a page that they need.
import { Plugin, PluginConnector } from '@remixproject/engine'
import { IframePlugin, ThemePlugin, WebWorkerPlugin } from '@remixproject/engine-web'

/** There is no published connector for ports. It is to `WebWorkerPlugin` what a port is to a worker. */
class PortPlugin extends PluginConnector {
  connect(url) {
    const { port1, port2 } = new MessageChannel()
    this.worker = new Worker(url, { type: 'module' })
    this.worker.postMessage(null, [port2])
    this.port = port1
    port1.onmessage = event => this.getMessage(event.data)
    return this.handshake()
  }
  send(message) { this.port.postMessage(message) }
  disconnect() { this.worker.terminate() }
}

/** A published webview client is in a frame as well, unless it runs in Theia. */
const connectors = { iframe: IframePlugin, webview: IframePlugin, worker: WebWorkerPlugin, port: PortPlugin }

/** Where frames are shown: `addView` receives the element itself. */
class Host extends Plugin {
  constructor() { super({ name: 'host', methods: ['addView', 'removeView'] }) }
  addView(profile, view) { document.body.append(view) }
  removeView() {}
}

/** The connector to a plugin. Profiles of frames name the plugin that shows them. */
export const connector = (kind, name, url) =>
  new connectors[kind]({ name, url, methods: [], ...['worker', 'port'].includes(kind) ? {} : { location: 'host' } })

/** `host` and `theme`. The published theme has no URL unless the host sets one, and the iframe client needs it. */
export const hostPlugins = () => {
  const theme = new ThemePlugin()
  theme.theme = theme.getTheme({ name: 'dark', quality: 'dark', url: new URL('/theme.css', location).href })
  return [new Host(), theme]
}
