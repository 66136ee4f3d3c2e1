// The events of a plugin: listens to them, and emits those of the inspector.
import { parseArguments } from './call.js'
import { h, setAttribute, setText, sync } from './dom.js'
import { clock, compact, count, exact, plural, visible } from './text.js'

/** Occurrences that are kept of each event. */
const MAX_OCCURRENCES = 200

export class Events {
  #connection
  #store
  #plugin
  /** By plugin and event: they continue while another plugin's view is open. */
  #listens = new Map()
  #known = []

  constructor(connection, store) {
    this.#connection = connection
    this.#store = store
    this.#build()
  }

  show(plugin) {
    this.#plugin = plugin
    this.update()
  }

  /** The events of `plugin`'s details. */
  know(events) {
    this.#known = events
    this.update()
  }

  update() {
    const { hello } = this.#store
    const isCaller = this.#plugin === hello?.caller
    setAttribute(this.emit, 'hidden', !isCaller)
    setAttribute(this.fields, 'disabled', !hello?.calls)
    const named = new Map(this.#known.map(event => [event.name, event]))
    for (const { plugin, event } of this.#listens.values())
      if (plugin === this.#plugin && !named.has(event)) named.set(event, { name: event, count: 0 })
    const events = [...named.values()]
    setAttribute(this.none, 'hidden', events.length > 0)
    sync(
      this.list,
      events,
      ({ name }) => name,
      event => this.#created(event),
      (element, event) => this.#updated(element, event),
    )
  }

  /** The connection was lost: so are the subscriptions. They are made again. */
  reconnected() {
    const listens = [...this.#listens.values()]
    this.#listens.clear()
    for (const { plugin, event, isLive, occurrences } of listens) if (isLive) this.#listen(plugin, event, occurrences)
    this.update()
  }

  #key(event, plugin = this.#plugin) {
    return JSON.stringify([plugin, event])
  }

  #listen(plugin, event, occurrences = []) {
    const listen = { plugin, event, occurrences, missed: 0, isLive: true, version: 0 }
    this.#listens.set(this.#key(event, plugin), listen)
    const changed = () => {
      listen.version++
      if (plugin === this.#plugin) this.update()
    }
    listen.end = this.#connection.listen(plugin, event, {
      event: occurrence => {
        occurrences.unshift(occurrence)
        occurrences.length = Math.min(occurrences.length, MAX_OCCURRENCES)
        changed()
      },
      missed: number => {
        listen.missed += number
        changed()
      },
      ended: error => {
        // A lost connection is restored together with what it carried.
        listen.isLive &&= this.#connection.status.state !== 'live'
        listen.problem = listen.isLive ? undefined : (error?.message ?? 'No more events: the plugin was removed, or the engine has ended.')
        changed()
      },
    })
    changed()
  }

  #toggle(event) {
    const key = this.#key(event)
    const listen = this.#listens.get(key)
    if (listen?.isLive) {
      listen.isLive = false
      listen.end()
      listen.version++
      this.update()
    } else {
      this.#listen(this.#plugin, event, listen?.occurrences)
    }
  }

  #created({ name }) {
    const button = h('button', { class: 'chip', onclick: () => this.#toggle(name) }, 'Listen')
    return h(
      'li',
      {},
      h('div', { class: 'event-head' }, h('code', { class: 'name' }, visible(name, 80)), h('span', { class: 'quiet' }), button),
      h('ol', { class: 'occurrences mono' }),
    )
  }

  #updated(element, { name, count: emitted, listeners, last }) {
    const listen = this.#listens.get(this.#key(name))
    const [head, occurrences] = element.children
    const figures = emitted
      ? [
          `${count(emitted)}×`,
          last !== undefined && `last ${clock(this.#store.wall(last)).slice(0, 8)}`,
          `${plural(listeners ?? 0, 'listener')}`,
        ]
      : ['not emitted yet']
    if (listen?.isLive && this.#store.plugins.get(this.#plugin)?.active === false) figures.push('none while the plugin is inactive')
    setText(head.children[1], figures.filter(Boolean).join(' · '))
    setAttribute(head.children[2], 'aria-pressed', String(Boolean(listen?.isLive)))
    setText(head.children[2], listen?.isLive ? 'Listening' : 'Listen')
    setAttribute(head.children[2], 'aria-label', `${listen?.isLive ? 'Stop listening' : 'Listen'} to ${visible(name, 80)}`)
    if (!listen || (element.version === listen.version && element.listen === listen)) return
    Object.assign(element, { version: listen.version, listen })
    const rows = listen.occurrences.map(occurrence => ({ occurrence }))
    const notes = [
      listen.missed && `${exact(listen.missed)} missed: they came too fast`,
      listen.problem && visible(listen.problem),
    ].filter(Boolean)
    sync(
      occurrences,
      [...notes.map(note => ({ note })), ...rows],
      ({ note, occurrence }) => note ?? occurrence,
      ({ note, occurrence }) =>
        note
          ? h('li', { class: 'bad' }, note)
          : h(
              'li',
              {},
              h('span', { class: 'quiet' }, clock(this.#store.wall(occurrence.at))),
              ` ${compact(occurrence.args, 1000)}`,
            ),
    )
    if (!rows.length && !notes.length)
      sync(
        occurrences,
        [{}],
        () => 'waiting',
        () => h('li', { class: 'quiet' }, 'Waiting for the first one …'),
      )
  }

  #build() {
    this.name = h('input', {
      'aria-label': 'Another event',
      placeholder: 'Another event',
      class: 'mono',
      autocomplete: 'off',
      spellcheck: 'false',
    })
    this.list = h('ul', { class: 'events' })
    this.none = h('p', { class: 'quiet' }, 'The plugin names no events, and has emitted none.')
    const other = h(
      'form',
      {
        class: 'inline',
        onsubmit: event => {
          event.preventDefault()
          if (this.name.value && !this.#listens.get(this.#key(this.name.value))?.isLive) this.#toggle(this.name.value)
          this.name.value = ''
        },
      },
      this.name,
      h('button', {}, 'Listen'),
    )
    this.event = h('input', { id: 'emit-event', class: 'mono', required: true, autocomplete: 'off', spellcheck: 'false' })
    this.args = h('input', { id: 'emit-args', class: 'mono', placeholder: '[]', autocomplete: 'off', spellcheck: 'false' })
    this.outcome = h('p', { role: 'status', class: 'quiet' })
    this.fields = h(
      'fieldset',
      {},
      h('div', { class: 'field' }, h('label', { for: 'emit-event' }, 'Event'), this.event),
      h('div', { class: 'field' }, h('label', { for: 'emit-args' }, 'Arguments'), this.args),
      h('div', { class: 'buttons' }, h('button', { class: 'primary' }, 'Emit')),
    )
    this.emit = h(
      'form',
      {
        onsubmit: event => {
          event.preventDefault()
          this.#emit()
        },
      },
      h('h3', {}, 'Emit'),
      this.fields,
      this.outcome,
    )
    this.element = h('section', { 'aria-label': 'Events' }, h('h2', {}, 'Events'), this.none, this.list, other, this.emit)
  }

  async #emit() {
    try {
      const args = parseArguments(this.args.value)
      await this.#connection.request('emit', { event: this.event.value, args })
      setText(this.outcome, `Emitted ${visible(this.event.value, 80)} at ${clock(Date.now()).slice(0, 8)}.`)
    } catch (error) {
      setText(this.outcome, `Not emitted: ${visible(error.message)}`)
    }
  }
}
