// Puts the page together: the connection, the views, and the addresses that lead to them.
import { Connection } from './connection.js'
import { setAttribute, setText } from './dom.js'
import { Messages } from './messages.js'
import { Overview } from './overview.js'
import { PluginView } from './plugin.js'
import { Plugins, pluginUrl } from './plugins.js'
import { Store } from './store.js'
import { visible } from './text.js'

const connection = new Connection()
const store = new Store()
const plugins = new Plugins(store)
const overview = new Overview(store)
const plugin = new PluginView(connection, store)
const messages = new Messages(connection, store, { again: callAgain })

const main = document.querySelector('main')
const body = document.querySelector('.body')
const status = document.querySelector('#status')
const banner = document.querySelector('#banner')
const readOnly = document.querySelector('#read-only')
const help = document.querySelector('#help')
body.prepend(plugins.element)
const elements = { overview: overview.element, plugin: plugin.element, messages: messages.element }
for (const element of Object.values(elements)) {
  element.hidden = true
  main.append(element)
}

/** The view and its parameters that the address names. */
function route() {
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?')
  const [view, ...rest] = path.split('/')
  const parameters = new URLSearchParams(query)
  if (view === 'plugin') {
    try {
      return { view, name: decodeURIComponent(rest.join('/')), parameters }
    } catch {
      return { view: 'overview', parameters }
    }
  }
  return { view: view in elements || view === 'plugins' ? view : 'overview', parameters }
}

let current

function navigate(event) {
  const { view, name, parameters } = (current = route())
  body.dataset.view = view
  for (const [other, element] of Object.entries(elements)) setAttribute(element, 'hidden', other !== view)
  for (const link of document.querySelectorAll('nav a'))
    setAttribute(link, 'aria-current', link.dataset.view === view ? 'page' : undefined)
  if (view !== 'messages') messages.hide()
  if (view !== 'plugin') plugin.hide()
  plugins.open(name)
  if (view === 'messages') messages.show(parameters)
  if (view === 'plugin') plugin.show(name, parameters)
  document.title = `${view === 'plugin' ? visible(name, 60) : { overview: 'Overview', plugins: 'Plugins', messages: 'Messages' }[view]} · Inspector`
  update()
  // Readers of the page learn that the view has changed, but not at the start.
  if (event && !document.activeElement?.closest('.plugins, nav')) focusView()
  main.scrollTop = 0
}

/** Focuses the view, for the keys to act on it. */
function focusView() {
  if (current.view === 'messages') messages.focusList()
  else main.focus({ preventScroll: true })
}

let isDue = false

/** Draws what has changed, once for several messages. */
function update() {
  if (isDue) return
  isDue = true
  requestAnimationFrame(() => {
    isDue = false
    plugins.update()
    if (current.view === 'overview') overview.update()
    if (current.view === 'plugin') plugin.update()
  })
}

/** Opens the form with a call that was made before. */
function callAgain({ to, key, args }) {
  const [name, service] = [to.split('.')[0], to.split('.').slice(1).join('.')]
  location.hash = `${pluginUrl(name)}?${new URLSearchParams({ method: service ? `${service}.${key}` : key, args: JSON.stringify(args.data) })}`
}

connection.addEventListener('hello', ({ detail }) => {
  store.greet(detail)
  setAttribute(readOnly, 'hidden', detail.calls)
  messages.reconnected(store.restarted)
  plugin.reconnected()
  update()
})
connection.addEventListener('state', ({ detail }) => {
  store.apply(detail)
  update()
})
connection.addEventListener('status', ({ detail }) => showStatus(detail))

const REASONS = {
  unreachable: [
    'The host program does not answer.',
    'If it has ended, start it again: a new start prints a new URL, unless it sets the token itself.',
  ],
  token: [
    'The token is not valid any more.',
    'The host program has been started again, with a new token. Open the URL that it printed.',
  ],
  refused: [
    'The inspector accepts no connection.',
    'It has as many viewers as it allows, or a proxy on the way does not pass websockets. Close other pages of the inspector.',
  ],
}
let countdown

function showStatus({ state, why, text, retry }) {
  clearInterval(countdown)
  setAttribute(status, 'class', `status is-${state}`)
  setText(status.querySelector('span'), { connecting: 'Connecting', live: 'Live', lost: 'Not connected' }[state])
  setAttribute(document.body, 'class', state === 'lost' ? 'is-lost' : undefined)
  setAttribute(banner, 'hidden', state !== 'lost')
  if (state !== 'lost') return
  const [title, remedy] = REASONS[why]
  const [heading, advice, next] = banner.querySelector('.text').children
  setText(heading, title)
  setText(advice, [remedy, text && why === 'refused' ? visible(text) : ''].filter(Boolean).join(' '))
  const tick = () =>
    setText(next, retry ? `Trying again in ${Math.max(0, Math.ceil((retry - Date.now()) / 1000))} s` : 'Trying again …')
  tick()
  if (retry) countdown = setInterval(tick, 500)
}

banner.querySelector('button').addEventListener('click', () => connection.connect())
document.querySelector('#help-button').addEventListener('click', () => help.showModal())
help.querySelector('button').addEventListener('click', () => help.close())

document.querySelector('#skip').addEventListener('click', event => {
  event.preventDefault()
  main.focus()
})

function search() {
  if (current.view === 'messages') return messages.focus()
  // A narrow page shows the list alone.
  if (!plugins.element.checkVisibility()) {
    location.hash = '#/plugins'
    navigate()
  }
  plugins.focus()
}

addEventListener('keydown', event => {
  if (help.open) return
  const isField = event.target.closest('input, textarea')
  if (event.key === 'Escape') return isField ? focusView() : messages.closeDetails()
  if (isField || event.ctrlKey || event.metaKey || event.altKey) return
  const keys = {
    '/': search,
    p: () => {
      if (current.view === 'messages') messages.togglePause()
    },
    o: () => {
      location.hash = '#/'
    },
    m: () => {
      location.hash = '#/messages'
      navigate()
      messages.focusList()
    },
    c: () => {
      if (current.view === 'plugin') plugin.focus()
    },
    '?': () => help.showModal(),
  }
  const act = keys[event.key]
  if (!act) return
  event.preventDefault()
  act()
})

addEventListener('hashchange', navigate)
navigate()
connection.connect()
