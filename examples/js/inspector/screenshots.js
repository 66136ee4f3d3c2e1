// Pictures for the documentation.
const path = require('path')

const VIEWS = {
  overview: { hash: '#/', height: 740 },
  messages: { hash: '#/messages', height: 600 },
  plugin: { hash: '#/plugin/files', height: 740 },
}

/** Time in which the charts get a history, in milliseconds. */
const HISTORY = 70_000

exports.screenshots = async ({ host, view }, folder) => {
  const { url } = await host()
  const viewers = []
  for (const theme of ['light', 'dark']) {
    for (const [name, { hash, height }] of Object.entries(VIEWS)) {
      const viewer = await view(url, { hash, theme, width: 1240, height, scale: 2, reducedMotion: true })
      await viewer.live()
      viewers.push({ name: `inspector-${name}-${theme}.webp`, viewer })
    }
  }
  await new Promise(done => setTimeout(done, HISTORY))
  for (const { name, viewer } of viewers) {
    if (name.includes('overview'))
      await viewer.until(
        'calls that wait',
        () => document.querySelector('.edge-label.wait') && document.querySelector('.pips .wait'),
      )
    if (name.includes('messages')) {
      await viewer.type('.toolbar input', 'divide')
      await viewer.click('.row.is-failed', 'app → calculator')
      await viewer.type('.toolbar input', '')
      await viewer.page.evaluate(() => document.activeElement.blur())
    }
    if (name.includes('plugin')) {
      await viewer.click('tbody button.link', 'write')
      await viewer.type('#args', '"/projects/chapter-1.md", {"words": 901}')
      await viewer.keys('Control+Enter')
      await viewer.shows('.made.is-returned', 'write')
      await viewer.click('.event-head button', 'Listen')
      await viewer.shows('.occurrences', 'chapter')
    }
    await viewer.page.screenshot({ path: path.join(folder, name), type: 'webp', quality: 82 })
  }
}
