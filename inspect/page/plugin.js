// The view of one plugin: its methods, a form to call them, its events, its link and its profile.
import { CallForm } from './call.js'
import { LatencyChart } from './charts.js'
import { h, icon, setAttribute, setText, sync } from './dom.js'
import { Events } from './events.js'
import { jsonView } from './json.js'
import { pluginUrl, showCondition } from './plugins.js'
import { CONDITIONS, condition } from './store.js'
import { table } from './table.js'
import { clock, count, duration, exact, plural, visible } from './text.js'

/** The interval of requests for details, in milliseconds. */
const INTERVAL = 1000
/** Rows of the tables; the search finds the other methods. */
const MAX_METHODS = 200
const MAX_CALLERS = 30

export class PluginView {
  #connection
  #store
  #name
  #details
  #method
  #needle = ''
  #timer
  #form
  #events
  #chart = new LatencyChart()

  constructor(connection, store) {
    this.#connection = connection
    this.#store = store
    this.#form = new CallForm(connection, store)
    this.#events = new Events(connection, store)
    this.#build()
  }

  show(name, parameters) {
    if (name !== this.#name) {
      this.#name = name
      this.#details = undefined
      this.#method = undefined
      this.#needle = this.search.value = ''
      this.#form.show(name)
      this.#events.show(name)
      this.#events.know([])
      setText(this.outcome, '')
      setText(this.heading, visible(name))
      this.messages.href = `#/messages?${new URLSearchParams({ plugin: name })}`
    }
    if (parameters.has('method')) this.#choose(parameters.get('method'), parameters.get('args') ?? undefined)
    this.#poll()
    this.update()
  }

  hide() {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  reconnected() {
    this.#events.reconnected()
  }

  focus() {
    this.#form.focus()
  }

  /** Asks for the details, again and again while the view is open. */
  async #poll() {
    clearTimeout(this.#timer)
    const timer = (this.#timer = setTimeout(() => {}, INTERVAL))
    const name = this.#name
    try {
      const details = await this.#connection.request('plugin', { plugin: name })
      if (name === this.#name) this.#know(details)
    } catch {
      // It may be removed, or the connection lost: the view says so.
    }
    if (timer === this.#timer) this.#timer = setTimeout(() => this.#poll(), INTERVAL)
  }

  #know(details) {
    this.#details = details
    const profile = JSON.stringify(details.profile)
    if (profile !== this.profile.shown) {
      this.profile.shown = profile
      this.profile.replaceChildren(jsonView(details.profile, { label: 'Profile' }))
    }
    const named = new Map((details.profile.events ?? []).map(event => [String(event), { name: String(event), count: 0 }]))
    for (const event of details.events) named.set(event.name, event)
    this.#events.know([...named.values()])
    const [first] = details.methods
    if (this.#method === undefined && first?.exposed && !this.#form.isUsed) this.#choose(first.name)
    this.update()
  }

  #choose(method, args) {
    this.#method = method
    this.#form.fill(method, args)
    this.update()
  }

  update() {
    if (this.#name === undefined) return
    const plugin = this.#store.plugins.get(this.#name)
    this.#form.update()
    this.#events.update()
    setAttribute(this.absent, 'hidden', Boolean(plugin) || !this.#store.at)
    setAttribute(this.content, 'hidden', !plugin)
    if (!plugin) return this.#forget()
    this.#header(plugin)
    this.#methods()
    this.#links(plugin)
  }

  /** Nothing of the plugin that was shown before. */
  #forget() {
    for (const text of [this.state, this.about, this.place, this.error, this.outcome]) setText(text, '')
    for (const element of [this.error, this.toggle]) setAttribute(element, 'hidden', true)
    this.condition.replaceChildren()
    delete this.condition.dataset.is
  }

  #header(plugin) {
    const { profile, location, active, link, error } = plugin
    showCondition(this.condition, plugin)
    const now = condition(plugin)
    const tries = link?.tries ? `, ${plural(link.tries, 'failed attempt')} since` : ''
    setText(
      this.state,
      `${CONDITIONS[now]}${link && now !== 'inactive' ? ` for ${duration(this.#store.now - link.since)}` : ''}${tries}`,
    )
    setText(
      this.about,
      [profile.displayName, profile.description]
        .filter(Boolean)
        .map(text => visible(text, 500))
        .join(': '),
    )
    setText(this.place, location === 'local' ? 'in the host program' : visible(profile.url ?? 'behind a link', 500))
    setText(
      this.error,
      error
        ? `Not activated: ${visible(error, 2000)}`
        : link?.state === 'down' && link.text
          ? `Link lost: ${visible(link.text, 2000)}`
          : '',
    )
    setAttribute(this.error, 'hidden', !this.error.textContent)
    const isReadOnly = !this.#store.hello?.calls
    const isCaller = plugin.name === this.#store.hello?.caller
    setAttribute(this.toggle, 'hidden', isReadOnly || isCaller)
    setText(this.toggle, active ? 'Deactivate' : error ? 'Try again' : 'Activate')
  }

  async #toggle() {
    const { active } = this.#store.plugins.get(this.#name) ?? {}
    this.toggle.disabled = true
    setText(this.outcome, active ? 'Deactivating …' : 'Activating …')
    try {
      await this.#connection.request(active ? 'deactivate' : 'activate', { plugin: this.#name })
      setText(this.outcome, active ? 'Deactivated.' : 'Activated.')
    } catch (error) {
      setText(this.outcome, visible(error.message, 2000))
    } finally {
      this.toggle.disabled = false
    }
  }

  #methods() {
    const known = this.#details?.methods ?? []
    const shown = this.#needle ? known.filter(({ name }) => name.toLowerCase().includes(this.#needle)) : known
    this.#form.suggest(known.filter(({ exposed }) => exposed).map(({ name }) => name))
    this.table.update(shown)
    setAttribute(this.search, 'hidden', known.length < 8)
    setText(
      this.found,
      !this.#details
        ? 'Loading …'
        : !known.length
          ? 'The plugin exposes no methods, and none was called.'
          : shown.length > MAX_METHODS
            ? `The first ${MAX_METHODS} of ${exact(shown.length)}. Search for the others.`
            : '',
    )
    for (const row of this.table.element.tBodies[0].rows)
      setAttribute(row, 'aria-current', row.dataset.method === this.#method ? 'true' : undefined)
    const chosen = known.find(({ name }) => name === this.#method)
    const hasLatency = chosen?.latency?.length > 0
    setAttribute(this.latency, 'hidden', !chosen?.calls)
    if (!chosen?.calls) return
    setText(this.latencyTitle, `${visible(chosen.name, 80)}: durations`)
    setAttribute(this.#chart.element, 'hidden', !hasLatency)
    if (hasLatency) this.#chart.update(chosen)
    setText(
      this.lastError,
      chosen.lastError
        ? `Last failure, ${clock(this.#store.wall(chosen.lastError.at)).slice(0, 8)}, called by ${visible(chosen.lastError.from, 80)}: ${visible(chosen.lastError.text)}`
        : '',
    )
    setAttribute(this.lastError, 'hidden', !chosen.lastError)
    this.callers.update(chosen.callers ?? [])
  }

  #links({ link }) {
    const links = [...(this.#details?.links ?? [])].reverse()
    setAttribute(this.links, 'hidden', !link)
    const rows = links.map((entry, index) => ({ ...entry, until: index ? links[index - 1].since : this.#store.now }))
    sync(
      this.linkList,
      rows,
      ({ state, since, tries }) => `${state} ${since} ${tries}`,
      ({ state, text }) =>
        h(
          'li',
          {},
          h('span', { class: 'mono quiet' }),
          icon({ up: 'up', connecting: 'connecting', down: 'down' }[state] ?? 'inactive'),
          h('span', {}, state),
          h('span', { class: 'quiet' }),
          h('span', { class: 'reason' }, text ? visible(text, 300) : ''),
        ),
      (row, { since, until, tries }) => {
        setText(row.children[0], clock(this.#store.wall(since)).slice(0, 8))
        setText(row.children[3], `${duration(until - since)}${tries ? `, try ${exact(tries)}` : ''}`)
      },
    )
  }

  #build() {
    this.condition = h('span')
    this.heading = h('h1', { class: 'name', tabindex: '-1' })
    this.state = h('span', { class: 'quiet' })
    this.about = h('p')
    this.place = h('p', { class: 'mono quiet name' })
    this.error = h('p', { class: 'failure' })
    this.toggle = h('button', { onclick: () => this.#toggle() })
    this.outcome = h('span', { class: 'quiet', role: 'status' })
    this.messages = h('a', { class: 'button' }, 'Messages')
    this.absent = h('p', { class: 'empty' }, 'No plugin of this name is registered.')
    this.search = h('input', {
      type: 'search',
      placeholder: 'Find a method',
      'aria-label': 'Find a method',
      autocomplete: 'off',
      spellcheck: 'false',
      oninput: () => {
        this.#needle = this.search.value.toLowerCase()
        this.update()
      },
    })
    this.found = h('p', { class: 'quiet' })
    this.table = table('Methods', {
      columns: [
        {
          name: 'Method',
          mono: true,
          by: ({ name }) => name,
          show: ({ name, exposed }, cell) => {
            if (!cell.firstChild)
              cell.append(
                h(
                  'button',
                  {
                    class: 'link name',
                    onclick: () => {
                      this.#choose(name)
                      this.#form.args.focus()
                    },
                  },
                  visible(name, 80),
                ),
                exposed === false && name !== '_OTHER' ? h('span', { class: 'quiet' }, ' not exposed') : '',
              )
          },
        },
        { name: 'Calls', number: true, by: ({ calls }) => calls, show: ({ calls }) => (calls ? count(calls) : '–') },
        {
          name: 'Failed',
          number: true,
          by: ({ errors }) => errors,
          show: ({ errors }, cell) => {
            setAttribute(cell, 'class', errors ? 'number bad' : 'number')
            return errors ? count(errors) : ''
          },
        },
        {
          name: 'Now',
          number: true,
          title: 'Running and waiting',
          by: ({ running, waiting }) => (running || 0) + (waiting || 0),
          show: ({ running, waiting }, cell) => {
            setAttribute(cell, 'class', waiting ? 'number wait' : 'number')
            return [running && `${count(running)} run`, waiting && `${count(waiting)} wait`].filter(Boolean).join(', ')
          },
        },
        { name: 'Median', number: true, by: ({ p50 }) => p50 || undefined, show: ({ p50 }) => (p50 ? duration(p50) : '') },
        { name: '99 %', number: true, by: ({ p99 }) => p99 || undefined, show: ({ p99 }) => (p99 ? duration(p99) : '') },
        { name: 'Max', number: true, by: ({ max }) => max || undefined, show: ({ max }) => (max ? duration(max) : '') },
      ],
      key: ({ name }) => name,
      max: MAX_METHODS,
      rowProperties: ({ name }) => ({ 'data-method': name }),
    })
    this.callers = table('Callers', {
      columns: [
        {
          name: 'Caller',
          by: ({ name }) => name,
          show: ({ name }, cell) => {
            if (!cell.firstChild) cell.append(h('a', { class: 'name', href: pluginUrl(name) }, visible(name, 80)))
          },
        },
        { name: 'Calls', number: true, by: ({ calls }) => calls, show: ({ calls }) => count(calls) },
        { name: 'Failed', number: true, by: ({ errors }) => errors, show: ({ errors }) => (errors ? count(errors) : '') },
        { name: 'Mean', number: true, by: ({ mean }) => mean || undefined, show: ({ mean }) => (mean ? duration(mean) : '') },
      ],
      key: ({ name }) => name,
      max: MAX_CALLERS,
    })
    this.latencyTitle = h('h3')
    this.lastError = h('p', { class: 'failure' })
    this.latency = h(
      'div',
      { class: 'latency', hidden: true },
      this.latencyTitle,
      this.#chart.element,
      this.lastError,
      h('div', { class: 'scroll' }, this.callers.element),
    )
    this.linkList = h('ol', { class: 'link-list' })
    this.links = h('section', {}, h('h2', {}, 'Link'), this.linkList)
    this.profile = h('div')
    this.content = h(
      'div',
      { class: 'columns' },
      h(
        'div',
        {},
        h(
          'section',
          {},
          h('h2', {}, 'Methods'),
          this.search,
          h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Methods' }, this.table.element),
          this.found,
          this.latency,
        ),
        this.links,
        h('details', { class: 'profile' }, h('summary', {}, 'Profile'), this.profile),
      ),
      h('div', {}, this.#form.element, this.#events.element),
    )
    this.element = h(
      'div',
      { class: 'plugin' },
      h(
        'header',
        {},
        h(
          'div',
          { class: 'title' },
          this.condition,
          this.heading,
          this.state,
          h('span', { class: 'space' }),
          this.outcome,
          this.toggle,
          this.messages,
        ),
        this.about,
        this.place,
        this.error,
      ),
      this.absent,
      this.content,
    )
  }
}
