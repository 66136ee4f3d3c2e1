// The view of calls and messages.
const assert = require('assert')

exports['a handshake, a call and a failure are rows, each with its answer'] = async ({ host, view }) => {
  const { url } = await host('--quiet')
  const viewer = await view(url, { hash: '#/messages' })
  await viewer.live()
  await viewer.click('.chip', 'Wire')
  await viewer.shows('.row.is-returned', 'handshake')
  await viewer.call('calculator', 'add', '[1, 2]')
  await viewer.shows('.made.is-returned', '3')
  await viewer.call('calculator', 'divide', '[1, 0]')
  await viewer.shows('.made.is-failed', 'zero')
  await viewer.go('#/messages')
  // Two calls, as calls and as messages of the link.
  await viewer.shows('.row.is-returned', 'inspector → calculatoradd[1,2] → 3')
  await viewer.shows('.row.is-returned', 'engine → calculatoradd[1,2] → 3')
  await viewer.shows('.row.is-failed', 'cannot divide by zero')
  await viewer.click('.row.is-failed', 'inspector → calculator')
  await viewer.shows('.details .failure', 'cannot divide by zero')
  await viewer.shows('.details .json', '1,')
  await viewer.shows('.details .steps', 'ended')
  await viewer.keys('Escape')
  assert.equal(await viewer.page.$('.details'), null)
}

exports['rows are filtered by plugin, kind, failure and text'] = async ({ host, view }) => {
  const { url } = await host()
  const viewer = await view(url, { hash: '#/messages' })
  await viewer.live()
  const only = (what, test) =>
    viewer.until(
      what,
      test => {
        const rows = [...document.querySelectorAll('.row')].filter(row => row.checkVisibility())
        return (
          rows.length > 3 &&
          rows.every(row =>
            new RegExp(test).test(`${row.className} ${row.querySelector('.kind .hidden')?.textContent} ${row.textContent}`),
          )
        )
      },
      test,
    )
  await viewer.type('.toolbar [aria-label="Only this plugin"]', 'storage')
  await only('storage', 'storage')
  await viewer.click('.failed-only')
  await viewer.shows('.stream .empty', 'Nothing matches')
  await viewer.type('.toolbar [aria-label="Only this plugin"]', 'calculator')
  await only('failures', 'is-failed')
  await viewer.click('.failed-only')
  await viewer.click('.chip', 'Events')
  await viewer.click('.chip', 'Links')
  await only('calls', 'call')
  await viewer.type('.toolbar input', 'divide')
  await only('divide', 'divide')
  // The arguments of a failed call are not among the failed records: they are looked up.
  await viewer.click('.failed-only')
  await only('failed calls', 'is-failed.*divide\\[\\d+,0\\] → ')
  // The same of the requests to the plugin.
  await viewer.click('.chip', 'Calls')
  await viewer.click('.chip', 'Wire')
  await only('failed requests', 'message.*engine → calculatordivide\\[\\d+,0\\] → .*failed \\d')
}

exports['a paused view holds new records, and counts them'] = async ({ host, view }) => {
  const { url } = await host()
  const viewer = await view(url, { hash: '#/messages' })
  await viewer.live()
  await viewer.shows('.row', 'add')
  await viewer.page.focus('main')
  await viewer.keys('p')
  await viewer.until('a count', () => /Resume · \d+ new/.test(document.querySelector('.pause').textContent))
  const rows = () =>
    viewer.page.$$eval('.row', rows =>
      rows
        .map(row => row.textContent)
        .sort()
        .join('\n'),
    )
  const before = await rows()
  const held = await viewer.page.$eval('.pause', button => button.textContent)
  await viewer.until('more', held => document.querySelector('.pause').textContent !== held, held)
  assert.equal(await rows(), before)
  await viewer.click('.pause')
  await viewer.shows('.pause', 'Pause')
  await viewer.until(
    'new rows',
    before =>
      [...document.querySelectorAll('.row')]
        .map(row => row.textContent)
        .sort()
        .join('\n') !== before,
    before,
  )
}

exports['records that arrive too fast are counted as missed'] = async ({ host, view }) => {
  const { url } = await host('--quiet')
  const viewer = await view(url, { hash: '#/messages' })
  await viewer.live()
  await viewer.shows('.row', 'connecting')
  await viewer.call('calculator', 'burst', '20000')
  await viewer.shows('.made.is-returned', '20000')
  await viewer.go('#/messages')
  await viewer.shows('.toolbar .badge', 'missed')
  await viewer.shows('.row', '[19999]')
}

exports['requests and responses are paired by id, direction and order'] = async ({ host, view }) => {
  const { url } = await host('--quiet')
  const viewer = await view(url)
  await viewer.live()
  const rows = await viewer.page.evaluate(async () => {
    const { Stream } = await import('/stream.js')
    let seq = 100
    const message = (direction, data, more = {}) => ({
      seq: ++seq,
      at: seq,
      kind: 'message',
      plugin: 'p',
      direction,
      data,
      ...more,
    })
    const request = (direction, id) => message(direction, { action: 'request', id, key: 'k', payload: [id] })
    const response = (direction, id, more) => message(direction, { action: 'response', id, key: 'k', payload: id }, more)
    const stream = new Stream()
    const states = () =>
      stream.rows.map(({ from, messageId, state, records }) => [from, messageId, state, records.length].join(' '))
    stream.append([request('toPlugin', 1), request('fromPlugin', 1), response('fromPlugin', 1)])
    // The id is used again, and the next response was cut.
    const cut = JSON.stringify({ action: 'response', id: 1, name: 'p', key: 'k', payload: 'x'.repeat(99) }).slice(0, 80)
    stream.append([request('toPlugin', 1), message('fromPlugin', cut, { cut: 150 })])
    // An answer that nothing asked for.
    stream.append([request('toPlugin', 3), response('fromPlugin', 3), response('fromPlugin', 3)])
    // Never answered, and an answer whose request is older than the page.
    stream.append([request('toPlugin', 2), message('fromPlugin', { action: 'response', id: 'old', error: 'no' })])
    const before = states()
    stream.prepend([{ ...request('toPlugin', 'old'), seq: 7, at: 7 }])
    return [before, states()]
  })
  const paired = [
    'engine 1 returned 2',
    'p 1 unanswered 1',
    'engine 1 returned 2',
    'engine 3 returned 2',
    'engine 3 returned 1',
    'engine 2 unanswered 1',
  ]
  assert.deepEqual(rows, [
    [...paired, 'engine old failed 1'],
    [...paired, 'engine old failed 2'],
  ])
}

exports['the beginnings of rows are found by id, direction and order'] = async ({ host, view }) => {
  const { url } = await host('--quiet')
  const viewer = await view(url)
  await viewer.live()
  const rows = await viewer.page.evaluate(async () => {
    const { Stream } = await import('/stream.js')
    const { findBeginnings } = await import('/beginnings.js')
    const message = (seq, direction, data) => ({ seq, at: seq, kind: 'message', plugin: 'p', direction, data })
    const request = (seq, direction, id) => message(seq, direction, { action: 'request', id, key: 'k', payload: [seq] })
    const response = (seq, direction, id, more) => message(seq, direction, { action: 'response', id, key: 'k', ...more })
    const call = (seq, kind, more) => ({ seq, at: seq, kind, call: 1, from: 'a', to: 'p', key: 'k', ...more })
    const kept = [
      call(2, 'callQueued', { data: ['first'] }),
      call(3, 'callStarted', { waited: 1 }),
      // The same id twice, and a request in the other direction.
      request(10, 'toPlugin', 1),
      response(11, 'fromPlugin', 1),
      request(12, 'toPlugin', 1),
      request(13, 'fromPlugin', 1),
      response(14, 'fromPlugin', 1, { error: 'no' }),
      // Far from its beginning; and a response that was answered before.
      ...Array.from({ length: 2500 }, (_, index) => ({ seq: 100 + index, at: 0, kind: 'event', from: 'p', key: 'e', data: [] })),
      call(3000, 'callEnded', { outcome: 'failed', data: 'no', ran: 1 }),
      response(3001, 'fromPlugin', 1, { error: 'again' }),
    ]
    const stream = new Stream()
    stream.append(kept.filter(({ seq }) => [14, 3000, 3001].includes(seq)))
    let requests = 0
    await findBeginnings(stream.partial.reverse(), async (before, limit) => {
      requests++
      const older = kept.filter(({ seq }) => seq < before)
      return { records: older.slice(-limit), more: older.length > limit }
    })
    return [
      requests,
      stream.partial.length,
      ...stream.rows.map(({ kind, from, args, records }) => [kind, from, JSON.stringify(args?.data), records.length].join(' ')),
    ]
  })
  assert.deepEqual(rows, [
    4,
    0,
    'message engine {"action":"request","id":1,"key":"k","payload":[12]} 2',
    'call a ["first"] 3',
    'message engine  1',
  ])
}

exports['the newest rows stay in view until one scrolls up'] = async ({ host, view }) => {
  const { url } = await host()
  const viewer = await view(url, { hash: '#/messages' })
  await viewer.live()
  await viewer.until('rows to scroll', () => document.querySelector('.stream .list').scrollTop > 500)
  const list = await viewer.page.$('.stream .list')
  const { x, y } = await list.boundingBox()
  await viewer.page.mouse.move(x + 200, y + 200)
  await viewer.page.mouse.wheel({ deltaY: -300 })
  await viewer.shows('.newest', 'Jump to the newest')
  const top = await list.evaluate(list => list.scrollTop)
  const height = await list.evaluate(list => list.scrollHeight)
  await viewer.until('more rows', height => document.querySelector('.stream .list').scrollHeight > height, height)
  assert.equal(await list.evaluate(list => list.scrollTop), top)
  await viewer.click('.newest')
  const isAtEnd = () => {
    const { scrollTop, clientHeight, scrollHeight } = document.querySelector('.stream .list')
    return scrollTop + clientHeight > scrollHeight - 3
  }
  await viewer.until('the end', isAtEnd)
  await viewer.until('more rows', height => document.querySelector('.stream .list').scrollHeight > height + 600, height)
  await viewer.until('the end again', isAtEnd)
  // A row that is looked at stays, too.
  await viewer.click('.row', 'app → calculator')
  await viewer.shows('.newest', 'Jump to the newest')
}

exports['older rows are loaded'] = async ({ host, view }) => {
  const { url } = await host()
  const first = await view(url, { hash: '#/messages' })
  await first.live()
  const count = viewer => viewer.page.$eval('.toolbar > .quiet', element => parseInt(element.textContent.replace(/\D/g, '')))
  // More records than one page of the history.
  await first.until('400 rows', () => parseInt(document.querySelector('.toolbar > .quiet').textContent.replace(/\D/g, '')) > 400)
  const second = await view(url, { hash: '#/messages' })
  await second.live()
  await second.shows('.older', 'Load older')
  await second.keys('p')
  const before = await count(second)
  await second.click('.older')
  await second.until(
    'older rows',
    before => parseInt(document.querySelector('.toolbar > .quiet').textContent.replace(/\D/g, '')) > before,
    before,
  )
}

exports['a call is made again'] = async ({ host, view }) => {
  const { url } = await host('--quiet')
  const viewer = await view(url)
  await viewer.live()
  await viewer.call('calculator', 'add', '[5, 6]')
  await viewer.shows('.made.is-returned', '11')
  await viewer.go('#/messages')
  await viewer.click('.row', 'inspector → calculator')
  await viewer.click('.details button', 'Call again')
  await viewer.until(
    'the form',
    () => document.querySelector('#args').checkVisibility() && document.querySelector('#args').value === '[5,6]',
  )
}
