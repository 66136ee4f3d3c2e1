// The view of what happens: calls, messages, events, links.
import { findBeginnings } from './beginnings.js'
import { details } from './details.js'
import { h, icon, setAttribute, setText } from './dom.js'
import { List } from './list.js'
import { createRow, updateRow } from './row.js'
import { Stream, haystack } from './stream.js'
import { clock, exact, plural } from './text.js'

/** Records that are asked for at once, and at the beginning. */
const PAGE = 500
/** The interval at which new rows are drawn, in milliseconds. */
const INTERVAL = 200
/** Records that arrived while paused and are kept. */
const MAX_HELD = 5000

const KINDS = {
  call: { name: 'Calls', kinds: ['callQueued', 'callStarted', 'callEnded'] },
  event: { name: 'Events', kinds: ['event'] },
  link: { name: 'Links', kinds: ['link', 'badFrame'] },
  message: { name: 'Wire', kinds: ['message'], title: 'Requests with their responses on each link, and handshakes' },
}
/** With the messages on links, a call between two remote plugins is three rows. */
const DEFAULT = ['call', 'event', 'link']

export class Messages {
  #connection
  #store
  #actions
  #stream = new Stream()
  #filter = { plugin: '', kinds: new Set(DEFAULT), failed: false, text: '' }
  #isPaused = false
  #held = []
  #missed = 0
  #more = false
  #isLoading = false
  #isCompleting = false
  /** Records received while a page of the history is awaited. */
  #early
  #generation = 0
  #opened
  #isShown = false
  #due
  #isFollowing = true
  /** The number of records of the opened row that are shown. */
  #openedRecords

  constructor(connection, store, actions) {
    this.#connection = connection
    this.#store = store
    this.#actions = actions
    connection.addEventListener('records', ({ detail }) => this.#receive(detail))
    this.#build()
  }

  /** The view was opened, with the parameters of its address. */
  show(parameters) {
    this.#isShown = true
    if (parameters.has('plugin') || parameters.has('failed')) {
      this.#filter.plugin = this.plugin.value = parameters.get('plugin') ?? ''
      this.#filter.failed = parameters.has('failed')
      setAttribute(this.failed, 'aria-pressed', String(this.#filter.failed))
      this.load()
    } else if (this.#generation === 0) {
      this.load()
    }
    this.#render()
  }

  hide() {
    this.#isShown = false
  }

  /** The connection is live again. */
  reconnected(hasRestarted) {
    if (this.#generation === 0) return
    if (hasRestarted) {
      this.#stream.restart()
      this.#more = false
      this.#stream.note(`The engine has started again: connected at ${clock(Date.now()).slice(0, 8)}`)
    }
    this.load(true)
  }

  togglePause() {
    this.#isPaused = !this.#isPaused
    if (!this.#isPaused) {
      this.#append(this.#held)
      this.#held = []
    }
    this.#render()
  }

  closeDetails() {
    if (!this.#opened) return false
    this.#opened = undefined
    this.#showDetails()
    this.focusList()
    return true
  }

  focus() {
    this.text.focus()
  }

  focusList() {
    this.list.element.focus({ preventScroll: true })
  }

  get #query() {
    const { plugin, kinds, failed } = this.#filter
    const chosen = Object.keys(KINDS).filter(kind => kinds.has(kind))
    return {
      ...(plugin && { plugin }),
      ...(chosen.length < Object.keys(KINDS).length && { kinds: chosen.flatMap(kind => KINDS[kind].kinds) }),
      ...(failed && { failed }),
    }
  }

  /** Asks for the newest records and those to come. */
  async load(continues = false) {
    const generation = ++this.#generation
    if (!continues) {
      this.#stream = new Stream()
      this.#held = []
      this.#missed = 0
      this.#isFollowing = true
    }
    this.#early = []
    const filter = this.#query
    this.#isLoading = true
    try {
      const [, page] = await Promise.all([
        this.#connection.request('feed', { filter }),
        this.#connection.request('history', { limit: PAGE, filter }),
      ])
      if (generation !== this.#generation) return
      const early = this.#early
      this.#early = undefined
      const { lastSeq, rows } = this.#stream
      if (!rows.length) this.#more = page.more
      else if (page.more && page.records[0]?.seq > lastSeq + 1) this.#stream.note(`More than ${PAGE} records are left out here`)
      this.#append([...page.records, ...early])
    } catch (error) {
      if (generation === this.#generation) this.#early = undefined
      if (this.#connection.status.state === 'live') this.#stream.note(`No records: ${error.message}`)
    } finally {
      if (generation === this.#generation) this.#isLoading = false
      this.#render()
    }
  }

  async #older() {
    if (this.#isLoading || !this.#more) return
    const stream = this.#stream
    this.#isLoading = true
    try {
      const page = await this.#connection.request('history', { before: stream.firstSeq, limit: PAGE, filter: this.#query })
      if (stream !== this.#stream) return
      const before = this.#rows().length
      stream.prepend(page.records)
      this.#more = page.more && page.records.length > 0
      this.#render()
      this.list.shift(this.#rows().length - before)
    } catch {
      // The status says that the connection is lost.
    } finally {
      this.#isLoading = false
      this.#render()
    }
  }

  #receive({ records, missed }) {
    this.#missed += missed
    if (this.#early) return this.#early.push(...records)
    if (this.#isPaused) {
      this.#held.push(...records)
      const extra = this.#held.length - MAX_HELD
      if (extra > 0) {
        this.#held.splice(0, extra)
        this.#missed += extra
      }
    } else {
      this.#append(records)
    }
    this.#due ??= setTimeout(() => {
      this.#due = undefined
      this.#render()
    }, INTERVAL)
  }

  #append(records) {
    const wasFollowing = this.#isFollowing
    const dropped = this.#stream.append(records)
    if (!dropped) return
    this.#more = !this.#stream.hasRestarted
    if (!wasFollowing) this.list.shift(-dropped)
  }

  #rows() {
    const { text } = this.#filter
    return text ? this.#stream.rows.filter(row => row.kind === 'note' || haystack(row).includes(text)) : this.#stream.rows
  }

  #render() {
    if (!this.#isShown) return
    this.#complete()
    const rows = this.#rows()
    this.list.show(rows, this.#isFollowing && !this.#isPaused)
    setText(
      this.shown,
      this.#filter.text ? `${exact(rows.length)} of ${plural(this.#stream.rows.length, 'row')}` : plural(rows.length, 'row'),
    )
    setAttribute(this.missed, 'hidden', !this.#missed)
    setText(this.missed, `${exact(this.#missed)} missed`)
    setAttribute(this.pause, 'aria-pressed', String(this.#isPaused))
    this.pause.replaceChildren(
      icon(this.#isPaused ? 'play' : 'pause'),
      this.#isPaused ? (this.#held.length ? ` Resume · ${exact(this.#held.length)} new` : ' Resume') : ' Pause',
    )
    setAttribute(this.older, 'hidden', !this.#more)
    setAttribute(this.empty, 'hidden', rows.length > 0)
    setText(
      this.empty,
      this.#isLoading
        ? 'Loading …'
        : this.#filter.text || this.#filter.plugin || this.#filter.failed || !DEFAULT.every(kind => this.#filter.kinds.has(kind))
          ? 'Nothing matches the filter.'
          : 'Nothing has happened yet. Calls, events and changes of links appear here as they happen.',
    )
    setAttribute(this.newest, 'hidden', this.#isFollowing || this.#isPaused || !rows.length)
    if (this.#opened && this.#opened.records.length !== this.#openedRecords) this.#showDetails()
  }

  /** Whether the newest rows stay in view. */
  #follow(isFollowing) {
    this.#isFollowing = isFollowing
    this.#render()
  }

  /** Looks for the arguments of rows that were received without them. */
  async #complete() {
    if (this.#isCompleting || this.#isLoading || this.#connection.status.state !== 'live') return
    const rows = this.#stream.partial.reverse()
    if (!rows.length) return
    this.#isCompleting = true
    const { failed, ...filter } = this.#query
    try {
      await findBeginnings(rows, (before, limit) => this.#connection.request('history', { before, limit, filter }))
    } catch {
      // The status says that the connection is lost.
    } finally {
      this.#isCompleting = false
      this.#render()
    }
  }

  #open(row) {
    if (row.kind === 'note') return
    this.#opened = row
    this.#showDetails()
    this.#follow(false)
  }

  #showDetails() {
    this.#openedRecords = this.#opened?.records.length
    const isReadOnly = !this.#store.hello?.calls
    this.pane.replaceChildren(
      ...(this.#opened
        ? [details(this.#opened, this.#store, { close: () => this.closeDetails(), again: this.#actions.again, isReadOnly })]
        : []),
    )
    this.element.classList.toggle('has-details', Boolean(this.#opened))
  }

  #build() {
    let timer
    const changed = () => {
      clearTimeout(timer)
      timer = setTimeout(() => this.load(), 200)
    }
    this.text = h('input', {
      type: 'search',
      placeholder: 'Search names and payloads',
      'aria-label': 'Search names and payloads',
      autocomplete: 'off',
      spellcheck: 'false',
      oninput: () => {
        this.#filter.text = this.text.value.toLowerCase()
        this.#render()
        if (this.#opened) this.list.activate(this.#opened.id)
      },
    })
    this.plugin = h('input', {
      type: 'search',
      placeholder: 'Any plugin',
      'aria-label': 'Only this plugin',
      autocomplete: 'off',
      spellcheck: 'false',
      oninput: () => {
        this.#filter.plugin = this.plugin.value.trim()
        changed()
      },
    })
    const toggle = (name, title, isPressed, flip) => {
      const button = h('button', { class: 'chip', 'aria-pressed': String(isPressed), title }, name)
      button.addEventListener('click', () => {
        setAttribute(button, 'aria-pressed', String(flip()))
        changed()
      })
      return button
    }
    const kinds = Object.entries(KINDS).map(([kind, { name, title }]) =>
      toggle(name, title, DEFAULT.includes(kind), () => {
        const { kinds } = this.#filter
        if (!kinds.delete(kind)) kinds.add(kind)
        return kinds.has(kind)
      }),
    )
    this.failed = toggle('Failed only', undefined, false, () => (this.#filter.failed = !this.#filter.failed))
    this.failed.classList.add('failed-only')
    this.pause = h('button', { class: 'pause', title: 'Pause or resume (p)', onclick: () => this.togglePause() })
    this.shown = h('span', { class: 'quiet' })
    this.missed = h('span', {
      class: 'badge bad',
      title: 'Records that arrived too fast to be shown. Reload the page: the history may still have them.',
    })
    this.older = h('button', { class: 'older', onclick: () => this.#older() }, 'Load older')
    this.newest = h('button', { class: 'newest', onclick: () => this.#follow(true) }, 'Jump to the newest ↓')
    this.empty = h('p', { class: 'empty' })
    this.pane = h('div', { class: 'pane' })
    this.list = new List({
      label: 'Messages',
      height: 30,
      key: row => row.id,
      create: createRow,
      update: (element, row) => updateRow(element, row, this.#store),
      open: row => this.#open(row),
      move: row => this.#opened && this.#open(row),
      scrolled: isDown => {
        if (isDown === this.list.isAtEnd && isDown !== this.#isFollowing) this.#follow(isDown)
        if (this.list.element.scrollTop === 0) this.#older()
      },
    })
    const toolbar = h(
      'div',
      { class: 'toolbar', role: 'group', 'aria-label': 'Filter' },
      this.pause,
      this.text,
      this.plugin,
      h('div', { class: 'chips', role: 'group', 'aria-label': 'Kinds' }, kinds),
      this.failed,
      h('span', { class: 'space' }),
      this.missed,
      this.shown,
    )
    this.element = h(
      'div',
      { class: 'messages' },
      h('h1', { class: 'hidden' }, 'Messages'),
      toolbar,
      h(
        'div',
        { class: 'split' },
        h('div', { class: 'stream' }, this.older, this.list.element, this.empty, this.newest),
        this.pane,
      ),
    )
  }
}
