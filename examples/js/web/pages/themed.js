// A published iframe client that shows what it has made of the theme.
import { PluginClient } from '@remixproject/plugin'
import { createClient } from '@remixproject/plugin-iframe'

class Themed extends PluginClient {
  constructor() { super({ customApi: {} }); this.methods = ['style'] }
  style() {
    const href = document.querySelector('link[rel=stylesheet]').getAttribute('href')
    return href && { href, quality: document.documentElement.style.getPropertyValue('--theme') }
  }
}
createClient(new Themed())
