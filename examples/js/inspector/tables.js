// Tables, which the reader orders by a column.
const assert = require('assert')

/** The order of the rows, by their first cells. */
const rows = (viewer, table) => viewer.texts(`${table} tbody td:first-child`)
/** The headings of the columns by which the table is ordered. */
const order = (viewer, table) =>
  viewer.page.$$eval(`${table} [aria-sort]`, cells => cells.map(cell => [cell.textContent, cell.getAttribute('aria-sort')]))
const calls = (viewer, method, calls) => viewer.shows(`tr[data-method=${method}] td:nth-child(2)`, calls)

exports['a table is ordered by the column whose heading is pressed, also when its numbers change'] = async ({ host, view }) => {
  const { url } = await host('--quiet')
  const viewer = await view(url)
  await viewer.live()
  const methods = '[aria-label=Methods]'
  await viewer.call('calculator', 'echo', '1')
  await calls(viewer, 'echo', '1')
  const before = await rows(viewer, methods)
  assert.deepEqual([before.length, await order(viewer, methods)], [5, []])
  assert.notEqual(before[0], 'echo')

  await viewer.click(`${methods} th button`, 'Calls')
  assert.deepEqual(await order(viewer, methods), [['Calls', 'descending']])
  // Those with equal values stay as they were.
  assert.deepEqual(await rows(viewer, methods), ['echo', ...before.filter(name => name !== 'echo')])
  for (const called of ['1', '2']) {
    await viewer.call('calculator', 'add', '[1, 2]')
    await calls(viewer, 'add', called)
  }
  assert.deepEqual((await rows(viewer, methods)).slice(0, 2), ['add', 'echo'])

  // With the keyboard: the least first, then as before.
  await viewer.page.focus(`${methods} th:nth-child(2) button`)
  await viewer.keys('Enter')
  assert.deepEqual(await order(viewer, methods), [['Calls', 'ascending']])
  assert.deepEqual((await rows(viewer, methods)).slice(-2), ['echo', 'add'])
  await viewer.keys('Enter')
  assert.deepEqual([await order(viewer, methods), await rows(viewer, methods)], [[], before])

  await viewer.click(`${methods} th button`, 'Method')
  assert.deepEqual(await order(viewer, methods), [['Method', 'ascending']])
  assert.deepEqual(await rows(viewer, methods), [...before].sort())
  // Methods that have not run have no median.
  for (const direction of ['descending', 'ascending']) {
    await viewer.click(`${methods} th button`, 'Median')
    assert.deepEqual(await order(viewer, methods), [['Median', direction]])
    assert.deepEqual((await rows(viewer, methods)).slice(0, 2).sort(), ['add', 'echo'])
  }
}

exports['the tables of the overview are ordered while calls are made'] = async ({ host, view }) => {
  const { url } = await host()
  const viewer = await view(url)
  await viewer.live()
  await viewer.until('calls', () => document.querySelectorAll('[aria-label="Calls between plugins"] tbody tr').length >= 6)
  const table = '[aria-label="Calls between plugins"]'
  await viewer.click(`${table} th button`, 'To')
  const shown = () => viewer.texts(`${table} tbody td:nth-child(2)`)
  assert.deepEqual(await shown(), (await shown()).sort())
  // The numbers still change.
  const made = () => viewer.texts(`${table} tbody td:nth-child(6)`)
  const before = await made()
  await viewer.until(
    'more calls',
    (table, before) =>
      [...document.querySelectorAll(`${table} tbody td:nth-child(6)`)].some((cell, index) => cell.textContent !== before[index]),
    table,
    before,
  )
  assert.deepEqual(await order(viewer, table), [['To', 'ascending']])
  assert.deepEqual(await shown(), (await shown()).sort())
  await viewer.click('[aria-label=Links] th button', 'Plugin')
  const links = await rows(viewer, '[aria-label=Links]')
  assert.deepEqual(links, [...links].sort())
}
