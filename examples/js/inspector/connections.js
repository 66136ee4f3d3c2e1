// Who may connect, and what happens when the connection is lost.
const assert = require('assert')
const WebSocket = require('ws')

exports['a page reconnects after the engine restarted, and says so if the token is another'] = async ({ host, view }) => {
  const first = await host('--quiet', '--token', 'fixed')
  const viewer = await view(first.url, { expected: /WebSocket connection|ERR_(CONNECTION|SOCKET|EMPTY)|403/ })
  await viewer.live()
  await viewer.call('calculator', 'add', '[1, 2]')
  await viewer.shows('.events', 'added')
  await viewer.click('.event-head button', 'Listen')
  await viewer.go('#/messages')
  await viewer.shows('.row', 'add')
  await first.stop()
  await viewer.shows('#banner', 'does not answer')
  await viewer.shows('#status', 'Not connected')
  const second = await host('--quiet', '--token', 'fixed', '--port', first.port)
  await viewer.click('#banner button', 'Try now')
  await viewer.live()
  await viewer.shows('.row.note', 'started again')
  await viewer.call('calculator', 'add', '[30, 4]')
  await viewer.shows('.made.is-returned', '34')
  await viewer.shows('.occurrences', '[30,4,34]')
  await second.stop()
  await viewer.shows('#status', 'Not connected')
  await host('--quiet', '--token', 'other', '--port', first.port)
  await viewer.shows('#banner', 'Open the URL that it printed')
}

exports['seven tabs are live at once'] = async ({ host, view }) => {
  const { url } = await host()
  const viewers = []
  for (let tab = 0; tab < 7; tab++) {
    const viewer = await view(url, { hash: '#/messages', beside: viewers[0] })
    await viewer.live()
    await viewer.shows('.row', 'add')
    viewers.push(viewer)
  }
  const newest = viewer =>
    viewer.page.$$eval('.row .at', cells =>
      cells
        .map(cell => cell.textContent)
        .sort()
        .at(-1),
    )
  for (const viewer of viewers) {
    const before = await newest(viewer)
    await viewer.until(
      'newer rows',
      before => [...document.querySelectorAll('.row .at')].some(cell => cell.textContent > before),
      before,
    )
  }
}

exports['a page beyond the limit of viewers says so, and is live when there is a place'] = async ({ host, view }) => {
  const { url, origin, token } = await host('--quiet')
  const viewers = await Promise.all(
    Array.from(
      { length: 64 },
      () =>
        new Promise((done, fail) => {
          const socket = new WebSocket(`${origin.replace('http', 'ws')}/ws`, { headers: { authorization: `Bearer ${token}` } })
          socket.on('open', () => done(socket)).on('error', fail)
        }),
    ),
  )
  const viewer = await view(url, { expected: /WebSocket connection|503/ })
  await viewer.shows('#banner', 'as many viewers as it allows')
  viewers.forEach(socket => socket.close())
  await viewer.live()
}

exports['a foreign page, a foreign name and a wrong token are refused, in words'] = async ({ host, view }) => {
  const { url, origin, port, token } = await host('--quiet')
  // 404 is the icon, which a text has none of.
  const refused = /403|404|WebSocket connection|ERR_/
  const wrong = await view(`${origin}/?token=wrong`, { expected: refused })
  await wrong.shows('body', '403: the token is wrong')
  const foreign = await view(`http://inspector.localhost:${port}/?token=${token}`, { expected: refused })
  await foreign.shows('body', "403: this host name is not the inspector's")
  // The page of another inspector is a foreign origin, though its host is allowed.
  const other = await host('--quiet')
  const page = await view(other.url, { expected: /WebSocket connection|policy:|Content Security Policy|Refused/ })
  await page.live()
  const connects = await page.page.evaluate(
    url =>
      new Promise(done => {
        try {
          const socket = new WebSocket(url)
          socket.onopen = () => done(true)
          socket.onerror = () => done(false)
        } catch {
          done(false)
        }
      }),
    `ws://127.0.0.1:${port}/ws?token=${token}`,
  )
  assert.equal(connects, false)
  // Without that page's policy it is the server that refuses.
  const blank = await view('about:blank', { expected: refused })
  const reached = await blank.page.evaluate(
    url =>
      new Promise(done => {
        const socket = new WebSocket(url)
        socket.onopen = () => done(true)
        socket.onerror = () => done(false)
      }),
    `ws://127.0.0.1:${port}/ws?token=${token}`,
  )
  assert.equal(reached, false)
  assert.ok(url.includes(token))
}
