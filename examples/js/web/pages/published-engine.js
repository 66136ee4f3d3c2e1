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
  let probes = 0
  /** The published engine cannot remove a plugin, so each run has its own name. */
  const run_bench = async (kind, url, calls, inFlight) => {
    const name = `probe${probes++}`
    await activate(kind, name, url)
    await new Promise(done => setTimeout(done, 300)) // the activation does not wait for the probe's service
    const started = performance.now()
    let left = calls
    const caller = async () => { while (left-- > 0) await local.call(name, 'add', 1, 2) }
    await Promise.all(Array.from({ length: inFlight }, caller))
    const seconds = (performance.now() - started) / 1000
    await manager.deactivatePlugin(name)
    return seconds
  }
  return {
    activate,
    run_bench,
    deactivate: name => manager.deactivatePlugin(name),
    call: async (plugin, method, args) => JSON.stringify(await local.call(plugin, method, ...JSON.parse(args)) ?? null),
    link_states: () => '[]',
  }
}
