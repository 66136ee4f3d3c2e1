// Opens a trace with speedscope in headless Chromium, and prints the threads that it shows.
const fs = require('fs')
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
    await tab.waitForFunction(() => window.speedscope, { timeout: LIMIT })
    await tab.evaluate((name, data) => window.speedscope.loadFileFromBase64(name, data), path.basename(file), fs.readFileSync(file).toString('base64'))
    // The title has the number of threads, as in "(1/4)".
    await tab.waitForFunction(() => /\(\d+\/\d+\)/.test(document.body.innerText), { timeout: LIMIT }).catch(error => {
      throw new Error([error.message, ...errors].join('\n'))
    })
    const count = await tab.evaluate(() => Number(/\(\d+\/(\d+)\)/.exec(document.body.innerText)[1]))
    const threads = []
    for (let shown = 0; shown < count; shown++) {
      threads.push(await tab.evaluate(() => document.title + ' | ' + /.*\(\d+\/\d+\).*/.exec(document.body.innerText)[0]))
      await tab.keyboard.press('n')
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
