// The inspector's page in headless Chromium, with the engine of the program `inspected`:
// `node run.js --host PROGRAM [--only TEST] [--screenshots FOLDER]`. Exits with code 1 if a test fails.
const { close, launch } = require('../lib/browser')
const { flag } = require('../lib/cli')
const { Inspected } = require('./host')
const { Viewer } = require('./viewer')
const { screenshots } = require('./screenshots')

const TESTS = { ...require('./calls'), ...require('./messages'), ...require('./connections'), ...require('./appearance') }

async function main() {
  const program = flag('host')
  const only = flag('only')
  const browser = await launch()
  const hosts = []
  const viewers = []
  /** What a test uses: hosts and pages, which end with it. */
  const tools = {
    browser,
    host: async (...args) => {
      const host = await Inspected.start(program, args)
      hosts.push(host)
      return host
    },
    view: async (url, options) => {
      const viewer = await Viewer.open(browser, url, options)
      viewers.push(viewer)
      return viewer
    },
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.once(signal, () => Promise.all(hosts.map(host => host.stop())).finally(() => process.exit(1)))
  let failures = 0
  try {
    if (flag('screenshots')) return await screenshots(tools, flag('screenshots'))
    for (const [name, test] of Object.entries(TESTS)) {
      if (only && name !== only) continue
      const began = performance.now()
      try {
        await test(tools)
        for (const viewer of viewers) viewer.assertNoErrors()
        console.log(`${name}: ${Math.round(performance.now() - began)} ms`)
      } catch (error) {
        failures++
        console.log(`FAILED ${name}: ${error.stack}`)
        for (const viewer of viewers) console.log(await viewer.describe())
      }
      for (const viewer of viewers.splice(0)) await viewer.close()
      for (const host of hosts.splice(0)) await host.stop()
    }
  } finally {
    for (const host of hosts) await host.stop()
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
