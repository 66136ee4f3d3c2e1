// A browser with the pages' server.
const { spawn } = require('child_process')
const { createInterface } = require('readline')
const { close, launch } = require('../lib/browser')
const { ENGINES, PLUGINS, isFrame } = require('./peers')
const { serve } = require('./server')

/** The time limit of a page. */
const LIMIT = 90_000

/** The ports differ between runs. */
const withoutUrls = line => JSON.parse(line, (name, value) => name === 'url' ? 'URL' : value)

/** Starts a plugin's program. Resolves to its process and URL. */
const run = ([program, ...args]) => new Promise((done, fail) => {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const errors = []
  createInterface(child.stderr).on('line', line => errors.push(line))
  child.on('error', fail).on('exit', code => fail(new Error(`${program} ended with ${code}`)))
  createInterface(child.stdout).on('line', line => {
    const { event, url } = JSON.parse(line)
    if (event === 'ready') done({ process: child, url, errors })
  })
})

exports.Browser = class {
  async start() {
    this.reports = new Map()
    this.server = await serve((id, line) => this.reports.get(id)?.(line))
    this.origin = `http://127.0.0.1:${this.server.address().port}`
    /** Another site, so that its frames run in another process. */
    this.frames = `http://localhost:${this.server.address().port}`
    /** A third origin, and site. */
    this.third = `http://third.localhost:${this.server.address().port}`
    this.browser = await launch({ throttlesBackground: true })
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => this.stop().finally(() => process.exit(1)))
    return this
  }

  async stop() {
    await close(this.browser)
    this.server.close()
  }

  /** The lines that the engine's page of a combination reports. */
  async lines(one) {
    const page = one.script ? 'script' : 'case'
    const { program } = PLUGINS[one.plugin]
    const running = program && await run(program(this.origin))
    try {
      const { kind, url } = this.plugin(one.plugin, running)
      const query = { kind, url, ...page === 'script' ? { script: `/${one.script}.json` } : { case: one.case, frames: this.frames, third: this.third } }
      return await this.page(ENGINES[one.engine][page], query, one.case === 'panic')
    } catch (error) {
      throw new Error([error.message, ...running?.errors ?? []].join('\n  '))
    } finally {
      running?.process.kill()
    }
  }

  /** The lines of the benchmark of an engine and a plugin. */
  bench(engine, plugin) {
    return this.page(ENGINES[engine].bench, this.plugin(plugin))
  }

  plugin(plugin, running) {
    const { kind, file } = PLUGINS[plugin]
    return { kind, url: running?.url ?? `${isFrame(plugin) ? this.frames : this.origin}/${file}` }
  }

  /** Opens a page with a query, and returns what it reports until it is done. */
  async page(file, query, mayPanic) {
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
          if (line.event === 'hide') context.newPage().then(other => other.bringToFront()).catch(fail)
          if (line.event === 'failed') fail(new Error(line.error))
        })
        page.on('console', message => output.push(`${message.type()}: ${message.text()}`))
        page.on('pageerror', error => output.push(`uncaught: ${error?.message ?? error}`))
        page.on('error', fail)
        page.goto(`${this.origin}/${file}?${new URLSearchParams({ ...query, report: `/report?case=${id}` })}`).catch(fail)
      })
      const panic = output.find(line => line.includes('panicked at'))
      if (panic && !mayPanic) throw new Error(panic)
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
