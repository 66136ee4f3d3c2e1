// An engine in a page of a real browser, at the origin http://127.0.0.1:N:
// `node browser-engine.js --plugin ws|socketio --url URL [--script FILE] [--origin-port N]`, or `--version` to see which browser that is.
// The page must not fail: any error on its console (as when the plugin refuses its origin) ends the program with exit code 1.
const { execFileSync } = require('child_process')
const http = require('http')
const path = require('path')
const { buildSync } = require('esbuild')
const { chromium, close, launch } = require('./lib/browser')
const { flag, script } = require('./lib/cli')

/** The time limit of a script, and of the browser's start. */
const LIMIT = 90_000

/** Serves the page at every path; resolves to its origin. */
function serve() {
  const { outputFiles: [bundle] } = buildSync({ entryPoints: [path.join(__dirname, 'lib/page.js')], bundle: true, write: false })
  const page = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script>${bundle.text}</script>`
  const server = http.createServer((_, response) => response.setHeader('content-type', 'text/html').end(page))
  return new Promise((done, fail) => {
    server.on('error', fail).listen(+flag('origin-port', 0), '127.0.0.1', () => done(`http://127.0.0.1:${server.address().port}`))
  })
}

async function main() {
  const origin = await serve()
  const browser = await launch()
  try {
    const page = await browser.newPage()
    const failed = new Promise((_, fail) => {
      const failure = text => fail(new Error(`the page at ${origin}: ${text}`))
      page.on('console', message => message.type() === 'error' && failure(message.text()))
      page.on('pageerror', error => failure(error.message))
      browser.on('disconnected', () => failure('its browser is gone'))
      setTimeout(() => failure(`not done after ${LIMIT / 1000} s`), LIMIT)
    })
    const done = async () => {
      await page.exposeFunction('report', line => process.stdout.write(line + '\n'))
      await page.goto(origin)
      await page.evaluate((...args) => globalThis.run(...args), flag('plugin'), flag('url'), script())
    }
    await Promise.race([done(), failed])
  } finally {
    await close(browser)
  }
}

if (process.argv.includes('--version')) {
  execFileSync(chromium(), ['--version'], { stdio: 'inherit' })
} else {
  main().then(() => process.exit(0), error => { console.error(`error: ${error.message}`); process.exit(1) })
}
