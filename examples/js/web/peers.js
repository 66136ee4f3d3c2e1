// What can be combined: engines, plugins, scripts and cases.
const fs = require('fs')
const path = require('path')
const { RUST, SCRIPTS } = require('./server')

/** The pages of engines, for scripts, cases and the benchmark. `README.md` describes what Rust engines and plugins export. */
const ENGINES = exports.ENGINES = {
  published: { script: 'engine.html', case: 'published-cases.html', bench: 'published-bench.html' },
  rust: { script: 'rust-engine.html', case: 'rust-cases.html', bench: 'rust-bench.html', rust: 'web_engine.js' },
}

/** Plugins: their kind of connector, and their page or script. */
const PROBES = {
  iframe: { kind: 'iframe', file: 'iframe.html' },
  'iframe-custom-theme': { kind: 'iframe', file: 'iframe.html?customTheme' },
  webview: { kind: 'webview', file: 'webview.html' },
  worker: { kind: 'worker', file: 'worker.js' },
  'rust-iframe': { kind: 'iframe', file: 'rust-iframe.html', rust: 'web_plugin.js' },
  'rust-worker': { kind: 'worker', file: 'rust-worker.js', rust: 'web_plugin.js' },
}
const PLUGINS = exports.PLUGINS = {
  ...PROBES,
  'late-iframe': { kind: 'iframe', file: 'late-iframe.html' },
  'late-worker': { kind: 'worker', file: 'late-worker.js' },
  'rogue-iframe': { kind: 'iframe', file: 'rogue.html' },
  'rogue-worker': { kind: 'worker', file: 'rogue.js' },
  themed: { kind: 'iframe', file: 'themed.html' },
}

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
}

/** This blocks the page of a published engine for 24 s when a worker does it, and for more than 90 s when a frame does. */
const NOT_PUBLISHED = ['flood-requests']

exports.combinations = () => Object.keys(ENGINES).flatMap(engine => [
  ...Object.keys(PROBES).flatMap(plugin => Object.keys(SCRIPTS).map(script => ({ engine, plugin, script }))),
  ...Object.entries(CASES).filter(([name]) => engine !== 'published' || !NOT_PUBLISHED.includes(name))
    .flatMap(([name, plugins]) => plugins.map(plugin => ({ engine, plugin, case: name }))),
])

const BUILD = 'bash examples/web/build.sh'

/** The plugins of the benchmark. */
exports.BENCH = ['iframe-custom-theme', 'worker', 'rust-iframe', 'rust-worker']

/** Fails unless the Rust ends of a combination are built. */
exports.requireBuilt = ({ engine, plugin }) => {
  const absent = [ENGINES[engine].rust, PLUGINS[plugin].rust].filter(file => file && !fs.existsSync(path.join(RUST, file)))
  if (absent.length) throw new Error(`${absent.join(' and ')} missing in target/web/rust; build with: ${BUILD}`)
}
