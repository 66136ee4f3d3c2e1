// An engine in a page of a real browser, at the origin http://127.0.0.1:N:
// `node browser-engine.js --plugin ws|socketio --url URL [--script FILE] [--origin-port N]`, or `--version` to see which browser that is.
// The page must not fail: any error on its console (as when the plugin refuses its origin) ends the program with exit code 1.
const { execFileSync } = require('child_process')
const fs = require('fs')
const http = require('http')
const path = require('path')
const { buildSync } = require('esbuild')
const puppeteer = require('puppeteer-core')
const { flag, script } = require('./lib/cli')

/** The time limit of a script, and of the browser's start. */
const LIMIT = 90_000

function chromium() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM
  const places = process.env.PATH.split(path.delimiter)
  const found = ['chromium', 'chromium-browser', 'google-chrome'].flatMap(name => places.map(place => path.join(place, name))).find(fs.existsSync)
  if (!found) throw new Error('found no chromium, chromium-browser or google-chrome on the PATH, and CHROMIUM is not set')
  return found
}

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
  const browser = await puppeteer.launch({
    executablePath: chromium(),
    pipe: true, // the browser exits when its pipe breaks, so that killing this process does not leave it behind
    args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
  })
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
    // One that does not close is killed when this process ends.
    await Promise.race([browser.close(), new Promise(done => setTimeout(done, 5000))])
  }
}

if (process.argv.includes('--version')) {
  execFileSync(chromium(), ['--version'], { stdio: 'inherit' })
} else {
  main().then(() => process.exit(0), error => { console.error(`error: ${error.message}`); process.exit(1) })
}
