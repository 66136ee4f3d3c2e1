// The view of the whole engine: figures, the picture of who calls whom, and what needs attention.
import { RateChart } from './charts.js'
import { h, icon, setAttribute, setText, sync } from './dom.js'
import { Graph } from './graph.js'
import { pluginUrl, showCondition } from './plugins.js'
import { CONDITIONS, condition, edgeKey } from './store.js'
import { table } from './table.js'
import { clock, count, duration, exact, plural, rate, visible } from './text.js'

/** Plugins in the picture, and rows of a table. */
const MAX_NODES = 40
const MAX_ROWS = 30

const link = name => h('a', { class: 'name', href: pluginUrl(name) }, visible(name, 80))
const linked =
  member =>
  ({ [member]: name }, cell) => {
    if (!cell.firstChild) cell.append(link(name))
  }

/** Why a link is down, or a plugin not active. */
const reason = ({ link, error }) => link.text ?? error ?? ''

/** A count; 0 is quiet. */
function figure(cell, number, meaning = '') {
  setAttribute(cell, 'class', `number ${number ? meaning : 'quiet'}`)
  return count(number)
}

export class Overview {
  #store
  #graph = new Graph()
  #chart = new RateChart()
  #figures = {}
  #calls = table('Calls between plugins', {
    columns: [
      { name: 'From', by: edge => edge.from, show: linked('from') },
      { name: 'To', by: edge => edge.to, show: linked('to') },
      { name: 'Rate', number: true, by: edge => edge.rate, show: edge => rate(edge.rate) },
      { name: 'Running', number: true, by: edge => edge.running, show: (edge, cell) => figure(cell, edge.running) },
      { name: 'Waiting', number: true, by: edge => edge.waiting, show: (edge, cell) => figure(cell, edge.waiting, 'wait') },
      { name: 'Calls', number: true, by: edge => edge.calls, show: edge => count(edge.calls) },
      { name: 'Failed', number: true, by: edge => edge.errors, show: (edge, cell) => figure(cell, edge.errors, 'bad') },
      {
        name: 'Mean',
        number: true,
        title: 'Mean duration',
        by: edge => edge.mean || undefined,
        show: edge => (edge.mean ? duration(edge.mean) : '–'),
      },
    ],
    key: edgeKey,
    max: MAX_ROWS,
  })
  #failures = table('Last failures', {
    columns: [
      { name: 'Plugin', by: ({ name }) => name, show: linked('name') },
      {
        name: 'Method',
        mono: true,
        by: ({ lastError }) => lastError.method,
        show: ({ lastError }) => visible(lastError.method, 80),
      },
      { name: 'Caller', by: ({ lastError }) => lastError.from, show: ({ lastError }) => visible(lastError.from, 80) },
      { name: 'Error', by: ({ lastError }) => lastError.text, show: ({ lastError }) => visible(lastError.text) },
      {
        name: 'At',
        number: true,
        by: ({ lastError }) => lastError.at,
        show: ({ lastError }) => clock(this.#store.wall(lastError.at)).slice(0, 8),
      },
    ],
    key: ({ name }) => name,
    max: MAX_ROWS,
  })
  #links = table('Links', {
    columns: [
      { name: 'Plugin', by: ({ name }) => name, show: linked('name') },
      {
        name: 'State',
        by: plugin => CONDITIONS[condition(plugin)],
        show: (plugin, cell) => {
          if (!cell.firstChild) cell.append(h('span'), h('span'))
          showCondition(cell.firstChild, plugin)
          setText(cell.lastChild, ` ${CONDITIONS[condition(plugin)]}`)
        },
      },
      {
        name: 'Before',
        title: 'States before, since this page was opened',
        show: ({ links }, cell) =>
          sync(
            cell,
            links.slice(0, -1),
            ({ state, since, tries }) => `${state} ${since} ${tries}`,
            ({ state, since }) =>
              h(
                'span',
                { class: 'past', title: `${state} since ${clock(this.#store.wall(since)).slice(0, 8)}` },
                icon(state),
                h('span', { class: 'hidden' }, `${state} `),
              ),
          ),
      },
      {
        name: 'For',
        number: true,
        title: 'Time in this state',
        by: plugin => -plugin.link.since,
        show: plugin => duration(this.#store.now - plugin.link.since),
      },
      {
        name: 'Tries',
        number: true,
        title: 'Failed attempts since the link was lost',
        by: plugin => plugin.link.tries,
        show: plugin => (plugin.link.tries ? exact(plugin.link.tries) : ''),
      },
      { name: 'Reason', by: plugin => reason(plugin) || undefined, show: plugin => visible(reason(plugin), 200) },
    ],
    key: ({ name }) => name,
    max: MAX_ROWS,
  })

  constructor(store) {
    this.#store = store
    const figure = (id, name) => {
      const value = (this.#figures[id] = h('dd'))
      return h('div', {}, h('dt', {}, name), value)
    }
    const section = (id, title, ...children) => (this[id] = h('section', {}, h('h2', {}, title), ...children))
    this.note = h('p', { class: 'quiet' })
    this.element = h(
      'div',
      { class: 'overview' },
      h('h1', { class: 'hidden' }, 'Overview'),
      h(
        'div',
        { class: 'summary' },
        h(
          'dl',
          { class: 'figures' },
          figure('plugins', 'Active plugins'),
          figure('links', 'Links up'),
          figure('rate', 'Calls a second'),
          figure('running', 'Running'),
          figure('waiting', 'Waiting'),
          figure('errors', 'Failed'),
        ),
        this.#chart.element,
      ),
      section('picture', 'Who calls whom', this.#graph.element, this.note),
      section(
        'calls',
        'Calls',
        h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Calls between plugins' }, this.#calls.element),
      ),
      section(
        'failures',
        'Last failures',
        h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Last failures' }, this.#failures.element),
      ),
      section(
        'links',
        'Links',
        h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Links' }, this.#links.element),
      ),
    )
  }

  update() {
    const store = this.#store
    const { plugins, active, remote, up, rate: perSecond, running, waiting, errors, down } = store.totals
    const figure = (id, text, state) => {
      setText(this.#figures[id], text)
      setAttribute(this.#figures[id], 'class', state)
    }
    figure('plugins', `${exact(active)} of ${exact(plugins)}`)
    figure('links', remote ? `${exact(up)} of ${exact(remote)}` : 'none', down ? 'bad' : undefined)
    figure('rate', perSecond >= 10 ? count(Math.round(perSecond)) : perSecond.toFixed(1))
    figure('running', count(running))
    figure('waiting', count(waiting), waiting ? 'wait' : undefined)
    figure('errors', count(errors), errors ? 'bad' : undefined)
    this.#chart.update(store.history)
    this.#picture()
    const edges = [...store.edges.values()].sort((a, b) => b.waiting - a.waiting || b.rate - a.rate || b.calls - a.calls)
    this.#show('calls', this.#calls, edges)
    const failures = store.sorted
      .filter(({ statistics }) => statistics?.lastError)
      .map(({ name, statistics }) => ({ name, lastError: statistics.lastError }))
    this.#show('failures', this.#failures, failures.sort((a, b) => b.lastError.at - a.lastError.at))
    const order = { down: 0, connecting: 1, failed: 2, up: 3, inactive: 4 }
    const links = store.sorted
      .filter(({ link }) => link)
      .sort((a, b) => order[condition(a)] - order[condition(b)] || b.link.since - a.link.since)
    this.#show('links', this.#links, links)
  }

  #show(id, { update }, items) {
    setAttribute(this[id], 'hidden', !items.length)
    update(items)
  }

  #picture() {
    const { plugins, edges } = this.#store
    const [nodes, drawn] = plugins.size <= MAX_NODES ? this.#all() : this.#busiest()
    this.#graph.update(nodes, drawn)
    setAttribute(this.picture, 'hidden', !nodes.length)
    setAttribute(this.note, 'hidden', plugins.size <= MAX_NODES && edges.size > 0)
    setText(
      this.note,
      !edges.size
        ? 'No calls yet. Choose a plugin to call one of its methods.'
        : nodes.length
          ? `The picture shows the ${plural(nodes.length, 'plugin')} that call and are called most, of ${exact(this.#store.totals.plugins)}, and ${exact(drawn.length)} of ${plural(edges.size, 'pair')}. The list has all.`
          : '',
    )
  }

  #all() {
    const drawn = [...this.#store.edges.values()]
    const called = new Set(drawn.flatMap(({ from, to }) => [from, to]))
    const nodes = this.#store.sorted.filter(plugin => called.has(plugin.name) || !this.#store.isOwn(plugin))
    for (const { from, to } of drawn)
      for (const name of [from, to]) {
        if (!this.#store.plugins.has(name) && !nodes.some(node => node.name === name)) nodes.push({ name, isUnknown: true })
      }
    return [nodes, drawn]
  }

  #busiest() {
    const weight = edge => edge.waiting * 10 + edge.running + edge.rate * 10 + Math.log10(1 + edge.calls)
    const names = new Set()
    const drawn = []
    for (const edge of [...this.#store.edges.values()].sort((a, b) => weight(b) - weight(a))) {
      const added = [edge.from, edge.to].filter(name => !names.has(name))
      if (names.size + added.length > MAX_NODES) continue
      added.forEach(name => names.add(name))
      drawn.push(edge)
      if (drawn.length >= 2 * MAX_NODES) break
    }
    // Sorted, so that the picture stays as it is while the same plugins are busy.
    return [[...names].sort().map(name => this.#store.plugins.get(name) ?? { name, isUnknown: true }), drawn]
  }
}
