// Drives the tour's page and the short pages of `examples/web` in headless Chromium.
const fs = require('fs')
const path = require('path')
const { spawn } = require('child_process')
const { isDeepStrictEqual } = require('util')
const readline = require('readline')
const { flag } = require('../lib/cli')
const { close, launch } = require('../lib/browser')

const HELP = `node tour.js [--no-build] [--screenshot FILE] [--record]

Starts web-tour, opens its page and compares the steps with expected/tour.txt, uses the page's buttons with the keyboard, looks at
it on a narrow screen, and compares the short pages with the comments of their programs. Exits with code 1 if anything differs.

  --no-build         uses the programs in target/web/rust as they are
  --screenshot FILE  takes a picture of the finished tour
  --record           records the steps instead of comparing them`

const root = path.join(__dirname, '../../..')
const EXPECTED = path.join(__dirname, 'expected/tour.txt')
const PAGES = path.join(root, 'examples/web/pages')
/** The time limits of a page, and of a build from nothing. */
const LIMIT = 60_000
const BUILD_LIMIT = 20 * 60_000

/** Starts web-tour. Resolves to its process and the page's URL. */
async function start() {
  const args = process.argv.includes('--no-build') ? ['--no-build'] : []
  const tour = spawn('cargo', ['run', '--quiet', '-p', 'examples', '--bin', 'web-tour', '--', ...args], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
  const lines = readline.createInterface({ input: tour.stdout })
  const url = await new Promise((done, fail) => {
    setTimeout(() => fail(new Error('web-tour prints no URL')), BUILD_LIMIT).unref()
    tour.on('error', fail).on('exit', code => fail(new Error(`web-tour ended with ${code} before it was ready`)))
    lines.on('line', line => { const [, url] = line.match(/(http:\S+\/);/) ?? []; if (url) done(url) })
  })
  return { tour, url }
}

const check = (what, actual, expected = true) => {
  if (!isDeepStrictEqual(actual, expected)) throw new Error(`${what}:\n  - ${JSON.stringify(expected)}\n  + ${JSON.stringify(actual)}`)
  console.log(`ok      ${what}`)
}

/** Differs between runs. */
const normalized = text => text.replace(/process \d+/g, 'process PID').replace(/tries since: \d+/, 'tries since: N')

const steps = page => page.$$eval('#steps li', items => items.map(item => [...item.children].map(child => child.textContent).join(' → ')))
/** Waits until a function of the page returns a truthy value. */
const until = (page, what, check, ...args) => page.waitForFunction(check, { timeout: LIMIT }, ...args)
  .catch(error => { throw new Error(`waited for ${what}: ${error.message}`) })
const finished = page => until(page, 'the end of the tour', () => document.documentElement.dataset.tour)
const isUp = (page, name) => until(page, `the link of ${name}`, name => [...document.querySelectorAll('#plugins li')]
  .some(item => item.querySelector('strong').textContent === name && item.querySelector('.is-up')), name)
const background = page => page.evaluate(() => getComputedStyle(document.body).backgroundColor)

async function screenshot(page) {
  await page.setViewport({ width: 1200, height: 900, deviceScaleFactor: 0.75 })
  await page.screenshot({ path: flag('screenshot'), fullPage: true })
}

async function tour(page, url) {
  await page.setViewport({ width: 1200, height: 900 })
  await page.goto(url)
  await finished(page)
  check('the tour ends', await page.$eval('#end', end => end.textContent.replace(/[\d.]+ s$/, 'N s')), '20 steps in N s')
  const lines = (await steps(page)).map(normalized)
  if (process.argv.includes('--record')) fs.writeFileSync(EXPECTED, lines.join('\n') + '\n')
  check('its steps', lines, fs.readFileSync(EXPECTED, 'utf8').trimEnd().split('\n'))
  if (flag('screenshot')) await screenshot(page)
}

/** Presses Tab until an element has the focus. */
async function tabTo(page, id) {
  for (let n = 0; n < 10; n++) {
    await page.keyboard.press('Tab')
    if (await page.evaluate(id => document.activeElement?.id === id, id)) return
  }
  throw new Error(`the keyboard does not reach #${id}`)
}

/** The editor's frame, once its plugin is connected. */
async function editor(page) {
  const frame = await (await page.waitForSelector('#plugin-editor')).contentFrame()
  await frame.waitForSelector('#save:not([disabled])', { timeout: LIMIT })
  return frame
}

async function buttons(page) {
  await tabTo(page, 'reload')
  await page.evaluate(() => { document.getElementById('plugin-editor').dataset.before = true })
  await page.keyboard.press('Enter')
  await until(page, 'a new frame', () => { const frame = document.getElementById('plugin-editor'); return frame && !frame.dataset.before })
  await isUp(page, 'editor')
  const frame = await editor(page)
  check('a reloaded frame is replaced', true)

  await frame.$eval('#text', area => { area.value = ''; area.focus() })
  await frame.type('#text', 'four words from me')
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  await until(page, 'the event', () => document.querySelector('#steps li:last-child').textContent.includes('notes.txt, 4 words'))
  check('what the user saves in the frame is an event', normalized((await steps(page)).at(-1)), 'page receives editor\'s event saved → notes.txt, 4 words')

  await page.focus('#panic')
  await page.keyboard.press('Enter')
  await until(page, 'the panic', () => document.querySelector('#steps li:last-child .what').textContent === 'the worker panics')
  await isUp(page, 'counter')
  check('a worker that panicked is replaced', true)
}

async function appearance(page) {
  const colours = []
  for (const value of ['light', 'dark']) {
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value }])
    colours.push(await background(page))
  }
  check('light and dark', colours[0] !== colours[1])
  await page.setViewport({ width: 400, height: 800 })
  check('nothing is wider than a screen of 400 pixels', await page.evaluate(() => document.documentElement.scrollWidth), 400)
}

/** A short page shows what the comment of its program says. */
async function shortPage(page, url, name) {
  const [, comment] = fs.readFileSync(path.join(PAGES, `${name}.rs`), 'utf8').match(/```text\n([^]*?)\/\/! ```/)
  const expected = comment.replace(/^\/\/! /gm, '').trimEnd()
  await page.goto(`${url}pages/${name}.html`)
  const lines = expected.split('\n').length
  await until(page, 'its lines', lines => document.body.innerText.trim().split('\n').filter(Boolean).length >= lines, lines)
  check(`pages/${name}.html shows what its program says`, (await page.evaluate(() => document.body.innerText)).trim(), expected)
}

async function main() {
  if (process.argv.includes('--help')) return console.log(HELP)
  const { tour: program, url } = await start()
  const ended = new Promise(done => program.removeAllListeners('exit').on('exit', (code, signal) => done(code ?? signal)))
  const browser = await launch()
  const output = []
  try {
    const page = await browser.newPage()
    page.on('console', message => output.push(`${message.type()}: ${message.text()}`))
    page.on('pageerror', error => output.push(`uncaught: ${error?.message ?? error}`))
    await tour(page, url)
    await buttons(page)
    await appearance(page)
    for (const name of ['engine', 'port']) await shortPage(page, url, name)
    check('no uncaught error in the page', output.filter(line => line.startsWith('uncaught')), [])
  } catch (error) {
    throw new Error([error.message, ...output.slice(-30)].join('\n  '))
  } finally {
    await close(browser)
    program.kill('SIGINT')
  }
  check('web-tour ends when it is interrupted', await ended, 0)
}

main().catch(error => { console.error(`FAILED  ${error.message}`); process.exitCode = 1 })
