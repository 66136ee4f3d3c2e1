// The published engine's connectors, and the plugins of an engine in a page that they need.
import { Plugin } from '@remixproject/engine'
import { IframePlugin, ThemePlugin, WebWorkerPlugin } from '@remixproject/engine-web'

/** A published webview client is in a frame as well, unless it runs in Theia. */
const connectors = { iframe: IframePlugin, webview: IframePlugin, worker: WebWorkerPlugin }

/** Where frames are shown: `addView` receives the element itself. */
class Host extends Plugin {
  constructor() { super({ name: 'host', methods: ['addView', 'removeView'] }) }
  addView(profile, view) { document.body.append(view) }
  removeView() {}
}

/** The connector to a plugin. Profiles of frames name the plugin that shows them. */
export const connector = (kind, name, url) =>
  new connectors[kind]({ name, url, methods: [], ...kind === 'worker' ? {} : { location: 'host' } })

/** `host` and `theme`. The published theme has no URL unless the host sets one, and the iframe client needs it. */
export const hostPlugins = () => {
  const theme = new ThemePlugin()
  theme.theme = theme.getTheme({ name: 'dark', quality: 'dark', url: new URL('/theme.css', location).href })
  return [new Host(), theme]
}
