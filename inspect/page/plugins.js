// The list of all plugins, with a search.
import { h, icon, setAttribute, setText } from './dom.js'
import { List } from './list.js'
import { CONDITIONS, condition } from './store.js'
import { count, exact, plural, rate, visible } from './text.js'

export const pluginUrl = name => `#/plugin/${encodeURIComponent(name.toWellFormed?.() ?? name)}`

export class Plugins {
  #store
  #needle = ''
  #search = h('input', {
    type: 'search',
    placeholder: 'Find a plugin',
    'aria-label': 'Find a plugin',
    autocomplete: 'off',
    spellcheck: 'false',
  })
  #found = h('p', { class: 'quiet', role: 'status' })
  #list = new List({
    label: 'Plugins',
    height: 34,
    key: plugin => plugin.name,
    create: () =>
      h(
        'div',
        { class: 'plugin-row' },
        h('span', { class: 'condition' }),
        h('span', { class: 'name' }),
        h('span', { class: 'badge' }),
        h('span', { class: 'badge bad' }),
        h('span', { class: 'badge wait' }),
        h('span', { class: 'figure' }),
      ),
    update: (row, plugin) => updateRow(row, plugin, this.#store.isOwn(plugin)),
    open: plugin => {
      location.hash = pluginUrl(plugin.name)
    },
  })

  constructor(store) {
    this.#store = store
    this.#search.addEventListener('input', () => {
      this.#needle = this.#search.value.toLowerCase()
      this.update()
    })
    this.#search.addEventListener('keydown', event => {
      if (event.key === 'ArrowDown') this.#list.element.focus()
      else if (event.key === 'Enter' && this.#list.items.length) location.hash = pluginUrl(this.#list.items[0].name)
      else return
      event.preventDefault()
    })
    this.element = h(
      'aside',
      { class: 'plugins', 'aria-label': 'Plugins' },
      h('div', { class: 'search' }, this.#search, this.#found),
      this.#list.element,
    )
  }

  focus() {
    this.#search.focus()
  }

  /** Marks the plugin whose view is open. */
  open(name) {
    if (this.#list.active !== name) this.#list.activate(name)
  }

  update() {
    const all = this.#store.sorted
    const total = plural(this.#store.totals.plugins, 'plugin')
    const shown = this.#needle
      ? all.filter(({ name, profile }) => `${name}\n${profile?.displayName ?? ''}`.toLowerCase().includes(this.#needle))
      : all
    const found = shown.filter(plugin => !this.#store.isOwn(plugin)).length
    setText(this.#found, this.#needle ? `${exact(found)} of ${total}` : total)
    this.#list.show(shown)
  }
}

/** Shows a plugin's condition as an icon with a name. */
export function showCondition(element, plugin) {
  const now = condition(plugin)
  if (element.dataset.is === now) return
  element.dataset.is = now
  element.replaceChildren(icon(now), h('span', { class: 'hidden' }, `${CONDITIONS[now]}: `))
}

function updateRow(row, plugin, isOwn) {
  const [state, name, own, bad, wait, figure] = row.children
  const { statistics } = plugin
  showCondition(state, plugin)
  setAttribute(name, 'class', isOwn ? 'name quiet' : 'name')
  setText(name, visible(plugin.name, 80))
  setText(own, isOwn ? 'built in' : '')
  setText(bad, statistics?.errors ? `${count(statistics.errors)} failed` : '')
  setText(wait, statistics?.waiting ? `${count(statistics.waiting)} waiting` : '')
  const calls = statistics && `${count(statistics.calls)} ${statistics.calls === 1 ? 'call' : 'calls'}`
  setText(figure, statistics ? (statistics.rate > 0 ? rate(statistics.rate) : calls) : '')
  setAttribute(figure, 'title', statistics ? `${plural(statistics.calls, 'call')}` : undefined)
  setAttribute(
    row,
    'title',
    [
      visible(plugin.name, 1000),
      plugin.profile?.displayName && visible(plugin.profile.displayName),
      isOwn && "Not one of the host's plugins: part of the engine, the inspector or the command",
    ]
      .filter(Boolean)
      .join('\n'),
  )
}
