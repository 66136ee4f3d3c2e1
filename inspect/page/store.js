// The engine's state as the inspector sends it: plugins, and who calls whom.

/** Points of the history of rates: one a second. */
const MAX_POINTS = 300

/** States of a link that are kept since the page was opened. */
const MAX_LINKS = 8

/** Names a pair of a caller and the plugin called. */
export const edgeKey = ({ from, to }) => `${from.length}:${from}${to}`

export class Store {
  plugins = new Map()
  edges = new Map()
  /** Points `{at, rate, errors}`, errors a second. */
  history = []
  hello = undefined
  at = 0
  #received = 0
  #sorted
  #totals

  greet(hello) {
    this.restarted = this.hello !== undefined && this.hello.began !== hello.began
    if (this.restarted) this.history = []
    this.hello = hello
  }

  apply({ full, at, plugins = [], edges = [], removed = [] }) {
    if (full) {
      this.plugins.clear()
      this.edges.clear()
    }
    for (const change of plugins) {
      const known = this.plugins.get(change.name)
      if (change.link) change.links = [...(known?.links ?? []), change.link].slice(-MAX_LINKS)
      if (known) {
        Object.assign(known, change)
      } else {
        this.plugins.set(change.name, { statistics: null, link: null, error: null, profile: {}, ...change })
        this.#sorted = undefined
      }
    }
    for (const name of removed) this.plugins.delete(name)
    for (const edge of edges) this.edges.set(edgeKey(edge), edge)
    if (full || removed.length) this.#sorted = undefined
    this.#totals = undefined
    if (at >= this.at + 500_000 || at < this.at || full) this.#received = performance.now()
    this.at = at
    this.#point()
  }

  /** Microseconds since the inspector began, now. */
  get now() {
    return this.at + (performance.now() - this.#received) * 1000
  }

  /** The wall clock of a time of the inspector, in milliseconds since 1970. */
  wall(at) {
    return (this.hello?.began ?? 0) + at / 1000
  }

  /** Whether a plugin is not one of the host's, but comes with the engine, the inspector or the command `connector`. */
  isOwn({ name, location }) {
    return location === 'local' && (name === 'manager' || name === 'connector' || name === this.hello?.caller)
  }

  /** All plugins, by name; the engine's own are the last. */
  get sorted() {
    return (this.#sorted ??= [...this.plugins.values()].sort(
      (a, b) => this.isOwn(a) - this.isOwn(b) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
    ))
  }

  get totals() {
    if (this.#totals) return this.#totals
    const totals = {
      plugins: 0,
      active: 0,
      remote: 0,
      up: 0,
      down: 0,
      connecting: 0,
      calls: 0,
      errors: 0,
      rate: 0,
      waiting: 0,
      running: 0,
    }
    for (const plugin of this.plugins.values()) {
      const { active, link, statistics } = plugin
      if (!this.isOwn(plugin)) {
        totals.plugins++
        if (active) totals.active++
      }
      if (link) {
        totals.remote++
        if (link.state in totals) totals[link.state]++
      }
      if (statistics)
        for (const member of ['calls', 'errors', 'rate', 'waiting', 'running']) totals[member] += statistics[member] ?? 0
    }
    return (this.#totals = totals)
  }

  #point() {
    const { rate, errors } = this.totals
    const last = this.history.at(-1)
    const before = last?.at === this.at ? this.history.at(-2) : last
    const seconds = before ? (this.at - before.at) / 1e6 : 0
    const point = { at: this.at, rate, total: errors, errors: seconds > 0 ? Math.max(0, (errors - before.total) / seconds) : 0 }
    if (last?.at === this.at) this.history.pop()
    this.history.push(point)
    if (this.history.length > MAX_POINTS) this.history.shift()
  }
}

/** One word for a plugin's condition: the icon's name and the text. */
export function condition({ location, active, link, error }) {
  if (link && active !== false && link.state !== 'inactive') return link.state
  if (error && !active) return 'failed'
  if (!active) return 'inactive'
  return location === 'local' ? 'local' : 'up'
}

export const CONDITIONS = {
  local: 'active in this process',
  up: 'connected',
  connecting: 'connecting',
  down: 'link lost',
  inactive: 'inactive',
  failed: 'not activated',
}
