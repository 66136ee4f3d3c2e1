// What can be combined: engines, plugins, scripts and cases.
const fs = require('fs')
const path = require('path')
const { RUST, SCRIPTS } = require('./server')

/** The pages of engines, for scripts, cases and the benchmark. `README.md` describes what Rust engines and plugins export. */
const ENGINES = exports.ENGINES = {
  published: { script: 'engine.html', case: 'published-cases.html', bench: 'published-bench.html' },
  rust: { script: 'rust-engine.html', case: 'rust-cases.html', bench: 'rust-bench.html', rust: 'web_engine.js' },
}

/** The published plugin behind a websocket never answers a call of a service, because it searches for `tools.ping` in a list of
    bare names. */
const NO_SERVICES = { step: 13, do: 'call', error: '[TIMEOUT] Timeout for call ping from local' }

/** The native plugin behind a websocket. */
const NATIVE = path.join(__dirname, '../../../target/debug/ws-plugin')

/** Plugins: their kind of connector, their page, script or program, the engines and scripts that they are for, if
    not all, and a line in which they differ. */
const PROBES = {
  iframe: { kind: 'iframe', file: 'iframe.html' },
  'iframe-custom-theme': { kind: 'iframe', file: 'iframe.html?customTheme' },
  webview: { kind: 'webview', file: 'webview.html' },
  worker: { kind: 'worker', file: 'worker.js' },
  'rust-iframe': { kind: 'iframe', file: 'rust-iframe.html', rust: 'web_plugin.js' },
  'rust-worker': { kind: 'worker', file: 'rust-worker.js', rust: 'web_plugin.js' },
  port: { kind: 'port', file: 'port.js' },
  'rust-port': { kind: 'port', file: 'rust-port.js', rust: 'web_plugin.js' },
  'rust-shared-worker': { kind: 'shared-worker', file: 'rust-worker.js', rust: 'web_plugin.js', engines: ['rust'] },
  'opaque-iframe': { kind: 'opaque', file: 'iframe.html?customTheme', engines: ['rust'] },
  'rust-opaque-iframe': { kind: 'opaque', file: 'rust-iframe.html', rust: 'web_plugin.js', engines: ['rust'] },
  ws: { kind: 'websocket', program: () => ['node', path.join(__dirname, '../ws-plugin.js')], engines: ['rust'], scripts: ['script'], differs: NO_SERVICES },
  'native-ws': { kind: 'websocket', program: origin => [NATIVE, '--allow-origin', origin], engines: ['rust'], scripts: ['script'] },
}
const PLUGINS = exports.PLUGINS = {
  ...PROBES,
  'late-iframe': { kind: 'iframe', file: 'late-iframe.html' },
  'late-worker': { kind: 'worker', file: 'late-worker.js' },
  'rogue-iframe': { kind: 'iframe', file: 'rogue.html' },
  'rogue-worker': { kind: 'worker', file: 'rogue.js' },
  themed: { kind: 'iframe', file: 'themed.html' },
  'strict-iframe': { kind: 'iframe', file: 'rust-iframe.html?origins=', rust: 'web_plugin.js' },
  'panicking-iframe': { kind: 'iframe', file: 'rust-iframe.html?panics', rust: 'web_plugin.js' },
  'panicking-worker': { kind: 'worker', file: 'rust-worker.js?panics', rust: 'web_plugin.js' },
  'panicking-port': { kind: 'port', file: 'rust-port.js?panics', rust: 'web_plugin.js' },
  'panicking-shared-worker': { kind: 'shared-worker', file: 'rust-worker.js?panics', rust: 'web_plugin.js' },
}
/** The profiles of these have a location. */
exports.isFrame = plugin => ['iframe', 'webview', 'opaque'].includes(PLUGINS[plugin].kind)

const ROGUES = ['rogue-iframe', 'rogue-worker']
/** The cases of `pages/cases.js`, with the plugins of each. */
const CASES = exports.CASES = {
  'forged-to-engine': ['iframe'],
  'forged-to-plugin': ['iframe', 'webview', 'rust-iframe'],
  'forged-first': ['rust-iframe'],
  'odd-messages': ROGUES,
  'big-string': ROGUES,
  'flood-events': ROGUES,
  'flood-requests': ROGUES,
  navigate: ['rogue-iframe'],
  reload: ['iframe', 'rust-iframe'],
  'worker-throws': ['worker'],
  'worker-missing': ['worker'],
  late: ['late-iframe', 'late-worker', 'rust-iframe', 'rust-worker'],
  theme: ['themed'],
  origins: ['strict-iframe'],
  unreadable: ['rogue-iframe', 'rust-iframe'],
  panic: ['panicking-iframe', 'panicking-worker', 'panicking-port', 'panicking-shared-worker'],
  background: ['iframe-custom-theme', 'rust-iframe', 'rust-worker'],
}

/** Requests in a flood block the page of a published engine for 24 s when a worker sends them, and for more than 90 s when a
    frame does. The others are behaviour of the Rust engine. */
const NOT_PUBLISHED = ['flood-requests', 'panic', 'background']

const scripts = (engine, [plugin, { engines = [engine], scripts = Object.keys(SCRIPTS) }]) =>
  engines.includes(engine) ? scripts.map(script => ({ engine, plugin, script })) : []

exports.combinations = () => Object.keys(ENGINES).flatMap(engine => [
  ...Object.entries(PROBES).flatMap(probe => scripts(engine, probe)),
  ...Object.entries(CASES).filter(([name]) => engine !== 'published' || !NOT_PUBLISHED.includes(name))
    .flatMap(([name, plugins]) => plugins.map(plugin => ({ engine, plugin, case: name }))),
])

const BUILD = 'bash examples/web/build.sh'

/** The plugins of the benchmark. */
exports.BENCH = ['iframe-custom-theme', 'worker', 'port', 'rust-iframe', 'rust-worker', 'rust-port']

/** Fails unless the Rust ends of a combination are built. */
exports.requireBuilt = ({ engine, plugin }) => {
  const absent = [ENGINES[engine].rust, PLUGINS[plugin].rust].filter(file => file && !fs.existsSync(path.join(RUST, file)))
  if (plugin === 'native-ws' && !fs.existsSync(NATIVE)) throw new Error(`no ${NATIVE}; build with: cargo build -p examples --bin ws-plugin`)
  if (absent.length) throw new Error(`${absent.join(' and ')} missing in target/web/rust; build with: ${BUILD}`)
}
