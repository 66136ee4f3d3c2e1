// Pictures for the documentation.
const path = require('path')

const VIEWS = {
  overview: { hash: '#/', height: 760 },
  messages: { hash: '#/messages', height: 620 },
  plugin: { hash: '#/plugin/files', height: 760 },
}

exports.screenshots = async ({ host, view }, folder) => {
  const { url } = await host()
  // A history for the charts.
  await new Promise(done => setTimeout(done, 45_000))
  for (const theme of ['light', 'dark']) {
    for (const [name, { hash, height }] of Object.entries(VIEWS)) {
      const viewer = await view(url, { hash, theme, width: 1180, height })
      await viewer.live()
      await viewer.page.screenshot({ path: path.join(folder, `inspector-${name}-${theme}.png`) })
    }
  }
}
