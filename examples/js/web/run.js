// Runs engines in a page with plugins in frames and workers, in headless Chromium, and compares the lines that the engines report:
//
//     node run.js [--engine published|rust] [--plugin NAME] [--script script|more] [--record]
//
// Without options it runs every combination. The expected lines are those of the published engine with the published client;
// `--record` writes them to `expected/` from such a run. Exits with code 1 if a line differs.
const fs = require('fs')
const path = require('path')
const { isDeepStrictEqual } = require('util')
const { close, launch } = require('../lib/browser')
const { flag } = require('../lib/cli')
const { RUST, SCRIPTS, serve } = require('./server')

/** The time limit of a case. */
const LIMIT = 60_000

/** Plugins: their kind of connector, and their page or script. A frame's page comes from another site than the engine's. */
const PLUGINS = {
  iframe: { kind: 'iframe', file: 'iframe.html' },
  'iframe-custom-theme': { kind: 'iframe', file: 'iframe.html?customTheme' },
  webview: { kind: 'webview', file: 'webview.html' },
  worker: { kind: 'worker', file: 'worker.js' },
  'rust-iframe': { kind: 'iframe', file: 'rust-iframe.html', rust: true },
  'rust-worker': { kind: 'worker', file: 'rust-worker.js', rust: true },
}
/** `README.md` describes what Rust engines and plugins export. */
const ENGINES = { published: { file: 'engine.html' }, rust: { file: 'rust-engine.html', rust: true } }
const BUILD = {
  'web_engine.js': 'cargo build --release --target wasm32-unknown-unknown -p examples --bin web-engine',
  'web_plugin.js': 'cargo build --release --target wasm32-unknown-unknown -p examples --bin web-plugin',
}

const lines = text => text.split('\n').filter(Boolean).map(line => JSON.parse(line))
/** A frame's profile differs from a worker's, which has no location. */
const expectedFile = ({ plugin, script }) => script === 'script'
  ? path.join(__dirname, '../../../conformance/src/expected.ndjson')
  : path.join(__dirname, 'expected', `${script}-${PLUGINS[plugin].kind === 'worker' ? 'worker' : 'frame'}.ndjson`)

/** The ports differ between runs. */
const withoutUrls = line => JSON.parse(line, (name, value) => name === 'url' ? 'URL' : value)

const missing = ({ engine, plugin }) => {
  const needed = [ENGINES[engine].rust && 'web_engine.js', PLUGINS[plugin].rust && 'web_plugin.js'].filter(Boolean)
  const absent = needed.filter(file => !fs.existsSync(path.join(RUST, file)))
  if (absent.length) throw new Error(`${absent.join(' and ')} missing in target/web/rust; build with: ${absent.map(file => BUILD[file]).join(' && ')}`)
}

function difference(actual, expected) {
  for (let n = 0; n < Math.max(actual.length, expected.length); n++) {
    if (!isDeepStrictEqual(actual[n], expected[n])) return `line ${n + 1}:\n  - ${JSON.stringify(expected[n])}\n  + ${JSON.stringify(actual[n])}`
  }
}

class Runner {
  async start() {
    this.reports = new Map()
    this.server = await serve((id, line) => this.reports.get(id)?.(line))
    this.port = this.server.address().port
    this.browser = await launch()
  }

  async stop() {
    await close(this.browser)
    this.server.close()
  }

  /** The lines that the engine's page reports. */
  async lines({ engine, plugin, script }) {
    const id = `${engine}-${plugin}-${script}`
    const { kind, file } = PLUGINS[plugin]
    const engineOrigin = `http://127.0.0.1:${this.port}`
    const pluginOrigin = kind === 'worker' ? engineOrigin : `http://localhost:${this.port}`
    const query = new URLSearchParams({ kind, url: `${pluginOrigin}/${file}`, script: `/${script}.json`, report: `/report?case=${id}` })
    const context = await this.browser.createBrowserContext()
    const page = await context.newPage()
    const console = []
    const reported = []
    let limit
    try {
      await new Promise((done, fail) => {
        limit = setTimeout(() => fail(new Error(`not done after ${LIMIT / 1000} s and ${reported.length} lines`)), LIMIT)
        this.reports.set(id, text => {
          const line = withoutUrls(text)
          reported.push(line)
          if (line.event === 'done') done()
          if (line.event === 'failed') fail(new Error(line.error))
        })
        page.on('console', message => console.push(`${message.type()}: ${message.text()}`))
        page.on('pageerror', error => console.push(`uncaught: ${error?.message ?? error}`))
        page.on('error', fail)
        page.goto(`${engineOrigin}/${ENGINES[engine].file}?${query}`).catch(fail)
      })
      return reported
    } catch (error) {
      throw new Error([error.message, ...console].join('\n  '))
    } finally {
      clearTimeout(limit)
      this.reports.delete(id)
      await context.close()
    }
  }
}

const chosen = (name, all) => {
  const one = flag(name)
  if (one !== undefined && !all.includes(one)) throw new Error(`--${name} is one of ${all.join(', ')}`)
  return one === undefined ? all : [one]
}

async function main() {
  const record = process.argv.includes('--record')
  const cases = chosen('engine', Object.keys(ENGINES)).flatMap(engine =>
    chosen('plugin', Object.keys(PLUGINS)).flatMap(plugin => chosen('script', Object.keys(SCRIPTS)).map(script => ({ engine, plugin, script }))))
  const runner = new Runner()
  await runner.start()
  let failures = 0
  try {
    for (const one of cases) {
      const name = `${one.engine} × ${one.plugin}, ${one.script}`
      try {
        missing(one)
        const actual = await runner.lines(one)
        const file = expectedFile(one)
        const isGolden = one.engine === 'published' && !PLUGINS[one.plugin].rust && one.script !== 'script'
        if (record && isGolden) fs.writeFileSync(file, actual.map(line => JSON.stringify(line) + '\n').join(''))
        const differs = difference(actual, lines(fs.readFileSync(file, 'utf8')))
        if (differs) throw new Error(differs)
        console.log(`ok      ${name} (${actual.length} lines)`)
      } catch (error) {
        failures++
        console.log(`FAILED  ${name}: ${error.message}`)
      }
    }
  } finally {
    await runner.stop()
  }
  process.exitCode = failures ? 1 : 0
}

main().catch(error => { console.error(`error: ${error.message}`); process.exitCode = 1 })
