// A page of the inspector, used as a person uses it.
const assert = require('assert')

/** The time limit of everything that a test waits for. */
const LIMIT = 20_000

exports.Viewer = class Viewer {
  errors = []
  /** Failed requests that a test causes on purpose. */
  expected = undefined

  /** Options: `hash`, `width`, `height`, `theme`, `reducedMotion`, `scale`; `beside`, a viewer of whose browser window it is another tab;
      `expected`, a pattern of errors on the console that the test causes. */
  static async open(
    browser,
    url,
    { hash = '', width = 1280, height = 800, theme = 'light', reducedMotion = false, scale = 1, beside, expected } = {},
  ) {
    const viewer = new Viewer()
    viewer.expected = expected
    viewer.context = beside?.context ?? (await browser.createBrowserContext())
    const page = (viewer.page = await viewer.context.newPage())
    page.on(
      'console',
      message => ['error', 'warn'].includes(message.type()) && viewer.errors.push(`${message.type()}: ${message.text()}`),
    )
    page.on('pageerror', error => viewer.errors.push(`uncaught: ${error?.stack ?? error}`))
    page.on('dialog', dialog => {
      viewer.errors.push(`dialog: ${dialog.message()}`)
      dialog.dismiss()
    })
    await page.evaluateOnNewDocument(() =>
      document.addEventListener('securitypolicyviolation', event =>
        console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`),
      ),
    )
    await page.emulateMediaFeatures([
      { name: 'prefers-color-scheme', value: theme },
      { name: 'prefers-reduced-motion', value: reducedMotion ? 'reduce' : 'no-preference' },
    ])
    await page.setViewport({ width, height, deviceScaleFactor: scale })
    await page.goto(url + hash)
    return viewer
  }

  /** Waits until a function of the page returns something truthy, and returns that. */
  async until(what, condition, ...args) {
    try {
      const handle = await this.page.waitForFunction(condition, { timeout: LIMIT, polling: 50 }, ...args)
      return await handle.jsonValue()
    } catch (error) {
      throw new Error(`${what}: ${error.message}`)
    }
  }

  live() {
    return this.until(
      'live',
      () =>
        document.querySelector('#status').textContent.trim() === 'Live' && document.querySelectorAll('.plugin-row').length > 0,
    )
  }

  /** Waits until an element shows a text. */
  shows(selector, text) {
    return this.until(
      `"${text}" in ${selector}`,
      (selector, text) =>
        [...document.querySelectorAll(selector)].some(element => element.checkVisibility() && element.textContent.includes(text)),
      selector,
      text,
    )
  }

  async click(selector, text = '') {
    await this.shows(selector, text)
    // Elements that are updated each second stay, but the page may scroll.
    await this.page.evaluate(
      (selector, text) =>
        [...document.querySelectorAll(selector)]
          .find(element => element.checkVisibility() && element.textContent.includes(text))
          .click(),
      selector,
      text,
    )
  }

  async type(selector, text) {
    await this.page.focus(selector)
    await this.page.evaluate(selector => document.querySelector(selector).select?.(), selector)
    await this.page.keyboard.press('Backspace')
    await this.page.keyboard.type(text)
  }

  /** Presses keys one after another. `Control+Enter` holds the first. */
  async keys(...keys) {
    for (const key of keys) {
      const held = key.split('+').slice(0, -1)
      for (const modifier of held) await this.page.keyboard.down(modifier)
      await this.page.keyboard.press(key.split('+').at(-1))
      for (const modifier of held) await this.page.keyboard.up(modifier)
    }
  }

  go(hash) {
    return this.page.evaluate(hash => {
      location.hash = hash
    }, hash)
  }

  /** The texts of all elements. */
  texts(selector) {
    return this.page.$$eval(selector, elements =>
      elements.filter(element => element.checkVisibility()).map(element => element.textContent),
    )
  }

  /** Calls a method of a plugin with the form. */
  async call(plugin, method, args) {
    await this.go(`#/plugin/${plugin}`)
    await this.shows('h1', plugin)
    await this.shows('tbody button.link', '')
    await this.type('#method', method)
    await this.type('#args', args)
    await this.keys('Control+Enter')
  }

  assertNoErrors() {
    assert.deepEqual(
      this.errors.filter(error => !this.expected?.test(error)),
      [],
    )
  }

  async describe() {
    const text = await this.page
      .evaluate(() => `${location.hash}\n${document.body?.innerText.slice(0, 1500)}`)
      .catch(error => error.message)
    return `--- ${text}\n${this.errors.join('\n')}\n---`
  }

  async close() {
    await this.page.close()
    if (!(await this.context.pages()).length) await this.context.close()
  }
}
