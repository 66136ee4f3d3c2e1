// A published engine with the functions that a Rust engine exports (see README.md).
import { Engine, PluginManager } from '@remixproject/engine'
import { Local } from '../../lib/engine'
import { connector, hostPlugins } from './published-plugins'

export async function publishedEngine() {
  const manager = new PluginManager()
  const local = new Local()
  const engine = new Engine()
  engine.register([manager, local, ...hostPlugins()])
  await manager.activatePlugin('local')
  const activate = async (kind, name, url) => {
    engine.register(connector(kind, name, url))
    await manager.activatePlugin(name)
  }
  return {
    activate,
    deactivate: name => manager.deactivatePlugin(name),
    call: async (plugin, method, args) => JSON.stringify(await local.call(plugin, method, ...JSON.parse(args)) ?? null),
    link_states: () => '[]',
  }
}
