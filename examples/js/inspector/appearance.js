// Sizes, themes, the keyboard, many plugins, and misleading texts.
const assert = require('assert')

exports['the overview shows who calls whom, who waits for whom, failures and links'] = async ({ host, view }) => {
  const { url } = await host()
  const viewer = await view(url)
  await viewer.live()
  await viewer.until('edges', () => document.querySelectorAll('.edge.live').length >= 6)
  // Callers are on the left.
  const places = await viewer.page.$$eval('.node', nodes =>
    Object.fromEntries(nodes.map(node => [node.querySelector('.node-name').textContent, node.getBoundingClientRect().x])),
  )
  assert.ok(
    places.editor < places.compiler && places.compiler < places.files && places.files < places.storage,
    JSON.stringify(places),
  )
  await viewer.shows('.edge-label', 'waiting')
  await viewer.shows('tr', 'editorfiles')
  await viewer.shows('.overview tr', 'cannot divide by zero')
  await viewer.shows('.overview tr', 'not activated')
  await viewer.shows('.figures', 'Calls a second')
  // The host's plugins are counted, and the others are marked.
  await viewer.shows('.figures', '6 of 7')
  for (const name of ['inspector', 'manager']) await viewer.shows('.plugin-row', `${name}built in`)
  assert.ok(!('manager' in places))
  await viewer.until('a chart', () => document.querySelector('.summary canvas')?.width > 0)
}

exports['ten thousand plugins are listed, searched and opened'] = async ({ host, view }) => {
  const { url } = await host('--more', '10000')
  const viewer = await view(url)
  await viewer.live()
  await viewer.shows('.plugins [role=status]', '10,007 plugins')
  await viewer.shows('.overview .quiet', 'call and are called most, of 10,007')
  const rows = () => viewer.page.$$eval('.plugin-row', rows => rows.length)
  assert.ok((await rows()) < 100)
  await viewer.page.focus('.plugins .list')
  await viewer.keys('End')
  await viewer.shows('.plugin-row', 'weather')
  assert.ok((await rows()) < 100)
  await viewer.keys('Home')
  await viewer.shows('.plugin-row', 'app')
  await viewer.keys('/')
  await viewer.page.keyboard.type('09998')
  await viewer.shows('.plugins [role=status]', '1 of 10,007')
  await viewer.keys('Enter')
  await viewer.shows('h1', 'plugin-09998')
  // The page keeps up.
  await viewer.go('#/messages')
  await viewer.shows('.row', 'add')
}

exports['everything is reached with the keyboard'] = async ({ host, view }) => {
  const { url } = await host('--quiet')
  const viewer = await view(url)
  await viewer.live()
  const focused = () =>
    viewer.page.evaluate(() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.id ?? '')
  const tabTo = async name => {
    for (let presses = 0; presses < 60; presses++) {
      if ((await focused()) === name) return
      await viewer.keys('Tab')
      const isVisible = await viewer.page.evaluate(
        () => document.activeElement === document.body || document.activeElement.matches(':focus-visible'),
      )
      assert.ok(isVisible)
    }
    throw new Error(`no way to ${name}`)
  }
  await tabTo('Find a plugin')
  await viewer.page.keyboard.type('calc')
  await viewer.keys('ArrowDown', 'ArrowDown', 'Enter')
  await viewer.shows('h1', 'calculator')
  await viewer.shows('tbody button.link', 'add')
  await tabTo('method')
  await viewer.page.keyboard.type('add')
  await tabTo('args')
  await viewer.page.keyboard.type('1, 2')
  await viewer.keys('Control+Enter')
  await viewer.shows('.made.is-returned .json', '3')
  await viewer.keys('Escape', 'm')
  await viewer.shows('.row', 'add')
  assert.equal(await focused(), 'Messages')
  await viewer.keys('End', 'Enter')
  await viewer.shows('.details', 'Outcome')
  await viewer.keys('Escape')
  assert.equal(await focused(), 'Messages')
  await viewer.keys('?')
  await viewer.shows('dialog', 'Keyboard shortcuts')
  await viewer.keys('Escape', 'o')
  await viewer.shows('.figures', 'Active plugins')
  // The nodes of the picture are links.
  await viewer.page.$eval('.node', node => node.focus())
  await viewer.keys('Enter')
  await viewer.until('a plugin', () => location.hash.startsWith('#/plugin/'))
}

exports['names and payloads cannot mislead'] = async ({ host, view }) => {
  const { url } = await host('--quiet', '--hostile')
  const viewer = await view(url, { hash: '#/plugin/hostile' })
  await viewer.live()
  await viewer.shows('.plugin', '<img src=x onerror=alert(1)>: safe\\u202egpj.exe\\u0000')
  await viewer.shows('tbody button.link', '\\u202eevil')
  await viewer.shows('tbody button.link', 'mmmm')
  await viewer.click('tbody button.link', 'evil')
  await viewer.page.focus('#args')
  await viewer.keys('Control+Enter')
  await viewer.shows('.made.is-returned .json', '<script>alert(1)</script>\\u202e')
  await viewer.click('tbody button.link', 'mmmm')
  await viewer.page.focus('#args')
  await viewer.keys('Control+Enter')
  await viewer.shows('.made.is-failed .failure', 'names have at most 1024')
  await viewer.go('#/messages')
  await viewer.shows('.row', 'mmmm')
  await viewer.shows('.row', '\\u202eevil')
  assert.equal(await viewer.page.$('main img, main script'), null)
  assert.ok(!(await viewer.page.$eval('body', body => body.textContent)).includes('\u202e'))
}

exports['nothing is wider than 400 pixels'] = async ({ host, view }) => {
  const { url } = await host()
  const viewer = await view(url, { width: 400, height: 800 })
  await viewer.until('live', () => document.querySelector('#status').classList.contains('is-live'))
  const fits = async () =>
    assert.deepEqual(
      await viewer.page.evaluate(() => {
        const scrolls = element =>
          element &&
          element !== document.body &&
          ((['auto', 'scroll'].includes(getComputedStyle(element).overflowX) && element !== document.querySelector('main')) ||
            scrolls(element.parentElement))
        return [document.documentElement, document.body, document.querySelector('main')]
          .map(element => element.scrollWidth - element.clientWidth)
          .concat(
            [...document.querySelectorAll('main *, header *, .plugins *')]
              .filter(
                element =>
                  element.checkVisibility() && element.getBoundingClientRect().right > 401 && !scrolls(element.parentElement),
              )
              .map(element => element.outerHTML.slice(0, 100)),
          )
      }),
      [0, 0, 0],
    )
  for (const hash of ['#/', '#/plugins', '#/plugin/calculator', '#/messages']) {
    await viewer.go(hash)
    await viewer.until('content', () => document.querySelectorAll('.node, .plugin-row, tr, .row').length > 3)
    await fits()
  }
  await viewer.click('.row', 'files')
  await viewer.shows('.details', 'Outcome')
  await fits()
}

exports['text has contrast in light and dark'] = async ({ host, view }) => {
  const { url } = await host()
  for (const theme of ['light', 'dark']) {
    const viewer = await view(url, { theme })
    await viewer.live()
    await viewer.shows('td', 'calculator')
    for (const hash of ['#/', '#/plugin/calculator', '#/messages']) {
      await viewer.go(hash)
      await viewer.until(
        'content',
        () => [...document.querySelectorAll('td, .row')].filter(element => element.checkVisibility()).length > 3,
      )
      assert.deepEqual(await viewer.page.evaluate(faint), [], `${theme} ${hash}`)
    }
  }
}

/** Texts of less contrast than 4.5 to 1. Runs in the page. */
function faint() {
  const context = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true })
  // Paints colours over each other, so that translucent ones count as they look.
  const painted = colours => {
    context.clearRect(0, 0, 1, 1)
    for (const colour of colours) {
      context.fillStyle = colour
      context.fillRect(0, 0, 1, 1)
    }
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3)
  }
  const luminance = rgb =>
    rgb
      .map(part => part / 255)
      .map(part => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
      .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0)
  const backgrounds = element =>
    element ? [...backgrounds(element.parentElement), getComputedStyle(element).backgroundColor] : ['#fff']
  return [...document.querySelectorAll('body *')]
    .filter(
      element =>
        element.checkVisibility() &&
        !element.closest('svg, .hidden, :disabled, .skip') &&
        [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim()),
    )
    .map(element => {
      const below = backgrounds(element)
      const [a, b] = [painted([...below, getComputedStyle(element).color]), painted(below)].map(luminance).sort((x, y) => y - x)
      return { ratio: (a + 0.05) / (b + 0.05), text: `${element.className} ${element.textContent.slice(0, 40)}` }
    })
    .filter(({ ratio }) => ratio < 4.5)
}

exports['nothing moves with reduced motion'] = async ({ host, view }) => {
  const { url } = await host()
  const viewer = await view(url, { reducedMotion: true })
  await viewer.live()
  await viewer.until('edges', () => document.querySelectorAll('.edge.live').length > 0)
  assert.equal(await viewer.page.evaluate(() => document.getAnimations().length), 0)
}
