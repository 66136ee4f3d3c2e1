// The engine under test, the same over every transport and in a browser: a real Engine that runs a script of steps against the plugin `probe`.
const { Engine, Plugin, PluginManager } = require('@remixproject/engine')

/** A local plugin of the engine, which the probe relays calls to and listens to. */
const Local = exports.Local = class extends Plugin {
  constructor() { super({ name: 'local', methods: ['echo', 'add', 'refuse', 'slow'], events: ['tick'] }) }
  echo(value) { return value }
  add(a, b) { return a + b }
  refuse() { throw new Error('local refuses') }
  slow(ms, value) { return new Promise(done => setTimeout(() => done(value), ms)) }
}

/** `probe` is the connector to the plugin; `report` receives each step's line; `others` are more plugins of the engine. */
exports.runScript = async function (probe, script, report, others = []) {
  const manager = new PluginManager()
  const local = new Local()
  const engine = new Engine()
  engine.register([manager, local, probe, ...others])
  const received = []
  const started = {}
  const act = {
    activate: async ({ name }) => { const done = await manager.activatePlugin(name); await probe.ready; return done },
    deactivate: ({ name }) => manager.deactivatePlugin(name),
    isActive: ({ name }) => manager.isActive(name),
    methods: async ({ name }) => (await manager.getProfile(name)).methods,
    call: ({ target, method, args }) => local.call(target, method, ...args),
    start: ({ id, target, method, args }) => { started[id] = settle(local.call(target, method, ...args)); return true },
    join: async ({ id }) => { const r = await started[id]; if (r.error !== undefined) throw r.error; return r.ok },
    cancel: ({ target, method }) => local.cancel(target, method),
    on: ({ name, key }) => { local.on(name, key, (...payload) => received.push({ name, key, payload })); return true },
    once: ({ name, key }) => { local.once(name, key, (...payload) => received.push({ name, key, payload })); return true },
    off: ({ name, key }) => { local.off(name, key); return true },
    heard: () => received.splice(0),
    emit: ({ key, payload }) => { local.emit(key, ...payload); return true },
    wait: ({ ms }) => new Promise(done => setTimeout(done, ms)),
  }
  const settle = promise => promise.then(ok => ({ ok }), error => ({ error: error?.message ?? error ?? 'rejected' }))
  for (const [step, line] of script.entries()) {
    const outcome = await settle((async () => act[line.do](line))())
    report({ step, do: line.do, ...outcome, ok: outcome.error === undefined ? outcome.ok ?? null : undefined })
  }
  report({ event: 'done', steps: script.length })
}
