// What one does with a plugin: call it, listen to it, change it.
const assert = require('assert')

exports['a call returns its result, and its failure is shown'] = async ({ host, view }) => {
  const { url } = await host('--quiet')
  const viewer = await view(url)
  await viewer.live()
  await viewer.shows('.overview', 'No calls yet')
  await viewer.click('.plugin-row', 'calculator')
  await viewer.click('tbody button.link', 'add')
  assert.equal(await viewer.page.$eval('#method', input => input.value), 'add')
  await viewer.type('#args', '20, 22')
  await viewer.keys('Control+Enter')
  await viewer.shows('.made.is-returned .json', '42')
  await viewer.call('calculator', 'divide', '[1, 0]')
  await viewer.shows('.made.is-failed .failure', 'cannot divide by zero')
  await viewer.call('calculator', 'add', '["one"]')
  await viewer.shows('.made.is-failed .failure', 'add')
  await viewer.call('calculator', 'unknown', '')
  await viewer.shows('.made.is-failed .failure', 'refused by the engine')
  // A time limit is one plugin's, and whole milliseconds.
  await viewer.type('#timeout', '1e')
  assert.equal(await viewer.page.$eval('#timeout', input => input.value), '1')
  await viewer.click('.plugin-row', 'editor')
  await viewer.shows('h1', 'editor')
  assert.equal(await viewer.page.$eval('#timeout', input => input.value), '')
  await viewer.click('.plugin-row', 'calculator')
  await viewer.shows('h1', 'calculator')
  // The statistics follow.
  await viewer.shows('tr[data-method=divide] .bad', '1')
  await viewer.click('tbody button.link', 'add')
  await viewer.until('a chart', () => document.querySelector('.latency canvas')?.width > 0)
}

exports['arguments are checked before they are sent, and recalled'] = async ({ host, view }) => {
  const { url } = await host('--quiet')
  const viewer = await view(url)
  await viewer.live()
  await viewer.call('calculator', 'echo', '{"a": [1, "two"], "big": 12345678901234567890}')
  await viewer.shows('.made.is-returned .json', '12345678901234567890')
  await viewer.call('calculator', 'echo', '[1')
  await viewer.shows('.problem', 'Not JSON')
  assert.equal((await viewer.texts('.made')).length, 1)
  await viewer.type('#args', '"other"')
  await viewer.keys('Control+Enter')
  await viewer.shows('.made .json', '"other"')
  await viewer.type('#args', '')
  await viewer.keys('ArrowUp', 'ArrowUp')
  assert.match(await viewer.page.$eval('#args', input => input.value), /^\{"a"/)
  await viewer.keys('ArrowDown')
  assert.equal(await viewer.page.$eval('#args', input => input.value), '"other"')
}

exports['a call is cancelled'] = async ({ host, view }) => {
  const { url } = await host('--quiet')
  const viewer = await view(url)
  await viewer.live()
  await viewer.call('calculator', 'slowly', '60000')
  await viewer.click('.made.is-running button', 'Cancel')
  await viewer.shows('.made.is-failed .failure', 'cancelled')
}

exports['events are shown as they come'] = async ({ host, view }) => {
  const { url } = await host('--quiet')
  const viewer = await view(url)
  await viewer.live()
  await viewer.call('calculator', 'add', '[1, 2]')
  await viewer.shows('.events', 'added')
  await viewer.click('.event-head button', 'Listen')
  await viewer.shows('.occurrences', 'Waiting for the first one')
  await viewer.call('calculator', 'add', '[3, 4]')
  await viewer.shows('.occurrences', '[3,4,7]')
  // The inspector emits as the plugin `inspector`.
  await viewer.go('#/plugin/inspector')
  await viewer.shows('h1', 'inspector')
  await viewer.type('#emit-event', 'greeted')
  await viewer.keys('Enter')
  await viewer.shows('[role=status]', 'Emitted greeted')
}

exports['a plugin is deactivated and activated, and an activation that fails says why'] = async ({ host, view }) => {
  const { url } = await host('--quiet')
  const viewer = await view(url, { hash: '#/plugin/calculator' })
  await viewer.live()
  await viewer.click('.title button', 'Deactivate')
  await viewer.shows('.title', 'inactive')
  await viewer.click('.title button', 'Activate')
  await viewer.shows('.title', 'connected')
  await viewer.shows('.link-list', 'inactive')
  await viewer.go('#/plugin/weather')
  await viewer.shows('.plugin .failure', '127.0.0.1:9')
  await viewer.click('.title button', 'Try again')
  await viewer.shows('.title [role=status]', 'weather')
  assert.ok(!(await viewer.page.$eval('body', body => body.textContent)).includes('secret'))
}

exports['a name that is not registered shows nothing of the plugin before'] = async ({ host, view }) => {
  const { url } = await host('--quiet')
  const viewer = await view(url, { hash: '#/plugin/calculator' })
  await viewer.live()
  await viewer.shows('button', 'Deactivate')
  await viewer.go('#/plugin/nobody')
  await viewer.shows('.plugin .empty', 'No plugin of this name is registered.')
  const shown = await viewer.page.$eval('main', main => main.innerText)
  assert.doesNotMatch(shown, /Deactivate|connected|worker:/)
  await viewer.go('#/plugin/calculator')
  await viewer.shows('button', 'Deactivate')
}

exports['a read-only page explains why it cannot call'] = async ({ host, view }) => {
  const { url } = await host('--read-only')
  const viewer = await view(url, { hash: '#/plugin/calculator' })
  await viewer.live()
  await viewer.shows('#read-only', 'Read-only')
  await viewer.shows('.call .explain', 'allow_calls')
  assert.equal(await viewer.page.$eval('.call fieldset', fields => fields.matches(':disabled')), true)
  assert.deepEqual(await viewer.texts('.title button'), [])
  // Listening changes nothing.
  await viewer.shows('.events', 'added')
  await viewer.click('.event-head button', 'Listen')
  await viewer.shows('.occurrences', '[')
}
