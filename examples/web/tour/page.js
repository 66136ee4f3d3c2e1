// Shows what the engine reports. The engine and the calls are in engine.rs.
import init, { Tour } from '/rust/tour_engine.js'

const element = id => document.getElementById(id)

/** A new element with attributes and children. */
const make = (tag, attributes, ...children) => {
  const made = Object.assign(document.createElement(tag), attributes)
  made.append(...children)
  return made
}

const states = new Map()

const showPlugins = plugins => element('plugins').replaceChildren(...plugins.map(({ name, place, methods }) => {
  const state = make('span', { className: 'state' })
  states.set(name, { ...states.get(name), element: state })
  return make('li', {},
    make('div', { className: 'row' }, make('strong', { textContent: name }), state),
    make('span', { className: 'place', textContent: place }),
    make('span', { className: 'methods', textContent: methods.join(', ') }))
}))

const showStates = () => states.forEach(({ element, text = 'up', isUp = true }) => {
  if (element) Object.assign(element, { textContent: isUp ? 'up' : text.replace(/ \(.*/, ''), title: text, className: `state ${isUp ? 'is-up' : 'is-down'}` })
})

const showStep = (what, outcome, className) => {
  element('steps').append(make('li', { className },
    make('span', { className: 'what', textContent: what }), make('span', { className: 'outcome', textContent: outcome })))
}

/** Shows a line of the engine: see show.rs. */
function report(text) {
  const line = JSON.parse(text)
  if (line.plugins) showPlugins(line.plugins)
  if (line.plugin) states.set(line.plugin, { ...states.get(line.plugin), text: line.state, isUp: line.isUp })
  if (line.step) showStep(line.what, line.outcome, line.isError ? 'error' : 'ok')
  if (line.event) showStep(line.event, line.outcome, 'ok event')
  showStates()
}

/** Ends the tour in a state that a test can wait for. */
const end = (state, text) => {
  element('end').textContent = text
  document.documentElement.dataset.tour = state
}

const onClick = (id, action) => {
  element(id).disabled = false
  element(id).onclick = async () => {
    try { await action() } catch (error) { showStep(id, String(error.message ?? error), 'error') }
  }
}

async function main() {
  const started = performance.now()
  const [native] = await Promise.all([fetch('/native').then(answer => answer.text()), init()])
  const tour = new Tour(native, element('frames'), report)
  element('end').textContent = ''
  await tour.run()
  end('done', `${element('steps').children.length} steps in ${((performance.now() - started) / 1000).toFixed(1)} s`)
  tour.report_events()
  onClick('reload', () => tour.reload_editor())
  onClick('panic', async () => showStep('the worker panics', await tour.end_counter(), 'error event'))
}

main().catch(error => end('failed', `The tour has failed: ${error.message ?? error}`))
