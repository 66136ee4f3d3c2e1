// A browser with the pages' server.
const { close, launch } = require('../lib/browser')
const { ENGINES, PLUGINS } = require('./peers')
const { serve } = require('./server')

/** The time limit of a page. */
const LIMIT = 90_000

/** The ports differ between runs. */
const withoutUrls = line => JSON.parse(line, (name, value) => name === 'url' ? 'URL' : value)

exports.Browser = class {
  async start() {
    this.reports = new Map()
    this.server = await serve((id, line) => this.reports.get(id)?.(line))
    this.origin = `http://127.0.0.1:${this.server.address().port}`
    /** Another site, so that its frames run in another process. */
    this.frames = `http://localhost:${this.server.address().port}`
    this.browser = await launch()
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => this.stop().finally(() => process.exit(1)))
    return this
  }

  async stop() {
    await close(this.browser)
    this.server.close()
  }

  /** The lines that the engine's page of a combination reports. */
  lines(one) {
    const page = one.script ? 'script' : 'case'
    const { kind, url } = this.plugin(one.plugin)
    const query = { kind, url, ...page === 'script' ? { script: `/${one.script}.json` } : { case: one.case, frames: this.frames } }
    return this.page(ENGINES[one.engine][page], query)
  }

  /** The lines of the benchmark of an engine with some plugins. */
  bench(engine, plugins) {
    return this.page(ENGINES[engine].bench, { plugins: JSON.stringify(plugins.map(plugin => ({ plugin, ...this.plugin(plugin) }))) })
  }

  plugin(plugin) {
    const { kind, file } = PLUGINS[plugin]
    return { kind, url: `${kind === 'worker' ? this.origin : this.frames}/${file}` }
  }

  /** Opens a page with a query, and returns what it reports until it is done. */
  async page(file, query) {
    const id = String(++this.count || (this.count = 1))
    const context = await this.browser.createBrowserContext()
    const page = await context.newPage()
    const output = []
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
        page.on('console', message => output.push(`${message.type()}: ${message.text()}`))
        page.on('pageerror', error => output.push(`uncaught: ${error?.message ?? error}`))
        page.on('error', fail)
        page.goto(`${this.origin}/${file}?${new URLSearchParams({ ...query, report: `/report?case=${id}` })}`).catch(fail)
      })
      const panic = output.find(line => line.includes('panicked at'))
      if (panic) throw new Error(panic)
      return reported
    } catch (error) {
      throw new Error([error.message, ...output.slice(-50)].join('\n  '))
    } finally {
      clearTimeout(limit)
      this.reports.delete(id)
      await context.close()
    }
  }
}
