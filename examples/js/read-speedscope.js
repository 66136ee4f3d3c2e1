// Opens a trace with speedscope in headless Chromium, and prints the threads that it shows.
const path = require('path')
const { pathToFileURL } = require('url')
const { close, launch } = require('./lib/browser')

const LIMIT = 60_000

async function main(file) {
  const page = path.join(path.dirname(require.resolve('speedscope/package.json')), 'dist/release/index.html')
  const browser = await launch()
  try {
    const tab = await browser.newPage()
    const errors = []
    tab.on('pageerror', error => errors.push(error.message)).on('console', line => line.type() === 'error' && errors.push(line.text()))
    tab.on('dialog', dialog => { errors.push(dialog.message()); dialog.dismiss() })
    await tab.goto(pathToFileURL(page).href)
    await (await tab.waitForSelector('input[type=file]', { timeout: LIMIT })).uploadFile(file)
    // The heading is "PROCESS (pid 1, tid 2) (1/4)".
    const heading = number => tab.waitForFunction(number => {
      const [, name, shown, count] = /(.*) \((\d+)\/(\d+)\)/.exec(document.body.innerText) ?? []
      return Number(shown) === number && { name, count: Number(count) }
    }, { timeout: LIMIT }, number).then(found => found.jsonValue())
    const { name, count } = await heading(1).catch(error => {
      throw new Error([error.message, ...errors].join('\n'))
    })
    const threads = [name]
    for (let number = 2; number <= count; number++) {
      await tab.keyboard.press('n')
      threads.push((await heading(number)).name)
    }
    console.log(JSON.stringify({ threads, errors }))
  } finally {
    await close(browser)
  }
}

main(process.argv[2]).catch(error => {
  console.error(error)
  process.exit(1)
})
