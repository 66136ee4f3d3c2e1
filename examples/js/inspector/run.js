// The inspector's page in headless Chromium, with the engine of the program `inspected`:
// `node run.js --host PROGRAM [--only TEST] [--screenshots FOLDER]`. Exits with code 1 if a test fails.
const { close, launch } = require('../lib/browser')
const { flag } = require('../lib/cli')
const { Inspected } = require('./host')
const { Viewer } = require('./viewer')
const { screenshots } = require('./screenshots')

const TESTS = {
  ...require('./calls'),
  ...require('./tables'),
  ...require('./messages'),
  ...require('./connections'),
  ...require('./appearance'),
}

/** What a test uses: hosts and pages, which end with it. */
class Tools {
  hosts = []
  viewers = []

  constructor(browser) {
    this.browser = browser
  }

  host = async (...args) => {
    const host = await Inspected.start(flag('host'), args)
    this.hosts.push(host)
    return host
  }

  view = async (url, options) => {
    const viewer = await Viewer.open(this.browser, url, options)
    this.viewers.push(viewer)
    return viewer
  }

  async end() {
    for (const viewer of this.viewers) await viewer.close()
    for (const host of this.hosts) await host.stop()
  }
}

/** Returns whether the test passed. */
async function run(browser, name, test) {
  const tools = new Tools(browser)
  const began = performance.now()
  try {
    await test(tools)
    for (const viewer of tools.viewers) viewer.assertNoErrors()
    console.log(`${name}: ${Math.round(performance.now() - began)} ms`)
    return true
  } catch (error) {
    console.log(`FAILED ${name}: ${error.stack}`)
    for (const viewer of tools.viewers) console.log(await viewer.describe())
    return false
  } finally {
    await tools.end()
  }
}

async function main() {
  const only = flag('only')
  const tests = Object.entries(TESTS).filter(([name]) => !only || name === only)
  const browser = await launch()
  let failures = 0
  try {
    if (flag('screenshots')) return await screenshots(new Tools(browser), flag('screenshots'))
    for (const [name, test] of tests) if (!(await run(browser, name, test))) failures++
  } finally {
    await close(browser)
  }
  if (failures) throw new Error(`${failures} failed`)
}

main().then(
  () => process.exit(0),
  error => {
    console.error(`error: ${error.message}`)
    process.exit(1)
  },
)
