// A list that has elements only for the rows in view, so that it may be long. The keyboard moves through it as in a list box.
import { h, setAttribute } from './dom.js'

/** Rows beyond the edges that have elements. */
const MARGIN = 8

let lists = 0

export class List {
  items = []
  /** The key of the active row. */
  active = undefined
  #rows = new Map()
  #length = 0
  #top = 0
  #id = `list${++lists}`
  #space = h('div', { class: 'space' })

  /**
   * @param {object} options `label`; `height` of a row in pixels; `key(item)`; `create()` makes a row's element; `update(element, item)`;
   * `open(item)` on click and Enter; `move(item)`, if moving the active row is more than that; `scrolled(isDown)`, by the reader.
   */
  constructor(options) {
    this.options = options
    this.element = h(
      'div',
      {
        class: 'list',
        role: 'listbox',
        tabindex: '0',
        'aria-label': options.label,
        onscroll: () => this.#scrolled(),
        onkeydown: event => this.#key(event),
      },
      this.#space,
    )
    this.#space.addEventListener('click', event => {
      const row = event.target.closest('[role=option]')
      const item = row && this.items[row.dataset.index]
      if (item === undefined) return
      this.#activate(item)
      options.open(item)
    })
    new ResizeObserver(() => this.#place()).observe(this.element)
  }

  /** Shows these items, and the last of them if `atEnd`. */
  show(items, atEnd = false) {
    this.items = items
    // The same array may have grown.
    if (items.length !== this.#length) this.#space.style.height = `${items.length * this.options.height}px`
    this.#length = items.length
    if (atEnd) this.#scrollTo(items.length * this.options.height)
    this.#place()
  }

  /** Whether the last row is in view. */
  get isAtEnd() {
    const { scrollTop, clientHeight } = this.element
    return scrollTop + clientHeight >= this.items.length * this.options.height - 2
  }

  /** Keeps the view in place when rows above it come or go. */
  shift(rows) {
    this.#scrollTo(this.element.scrollTop + rows * this.options.height)
  }

  #scrollTo(top) {
    this.element.scrollTop = top
    this.#top = this.element.scrollTop
  }

  #scrolled() {
    const { scrollTop } = this.element
    // Otherwise it is the list that scrolled.
    if (scrollTop !== this.#top) this.options.scrolled?.(scrollTop > this.#top)
    this.#top = scrollTop
    this.#place()
  }

  #place() {
    const { height, key, create, update } = this.options
    const { scrollTop, clientHeight } = this.element
    if (!clientHeight) return
    const first = Math.max(0, Math.floor(scrollTop / height) - MARGIN)
    const last = Math.min(this.items.length, Math.ceil((scrollTop + clientHeight) / height) + MARGIN)
    const shown = new Set()
    for (let index = first; index < last; index++) shown.add(key(this.items[index]))
    const spare = []
    for (const [id, row] of this.#rows) {
      if (shown.has(id)) continue
      spare.push(row)
      this.#rows.delete(id)
    }
    let active
    for (let index = first; index < last; index++) {
      const item = this.items[index]
      const id = key(item)
      let row = this.#rows.get(id)
      if (!row) {
        row = spare.pop()
        if (!row) {
          row = create()
          row.setAttribute('role', 'option')
          row.id = `${this.#id}-${++lists}`
          this.#space.append(row)
        }
        this.#rows.set(id, row)
      }
      row.dataset.index = index
      row.style.transform = `translateY(${index * height}px)`
      setAttribute(row, 'aria-setsize', this.items.length)
      setAttribute(row, 'aria-posinset', index + 1)
      setAttribute(row, 'aria-selected', String(id === this.active))
      if (id === this.active) active = row.id
      update(row, item)
    }
    for (const row of spare) row.remove()
    setAttribute(this.element, 'aria-activedescendant', active)
  }

  /** Makes a row the active one and brings it into view; no key makes none. */
  activate(id) {
    this.active = id
    const index = id === undefined ? -1 : this.items.findIndex(item => this.options.key(item) === id)
    if (index >= 0) this.#reveal(index)
    this.#place()
  }

  #activate(item) {
    this.active = this.options.key(item)
    this.#place()
  }

  #reveal(index) {
    const { height } = this.options
    const { scrollTop, clientHeight } = this.element
    const distance = Math.abs(index * height - scrollTop - clientHeight / 2)
    if (distance > clientHeight) this.element.scrollTop = (index + 0.5) * height - clientHeight / 2
    else if (index * height < scrollTop) this.element.scrollTop = index * height
    else if ((index + 1) * height > scrollTop + clientHeight) this.element.scrollTop = (index + 1) * height - clientHeight
  }

  #key(event) {
    const { height, key, open, move } = this.options
    const index = this.items.findIndex(item => key(item) === this.active)
    const page = Math.max(1, Math.floor(this.element.clientHeight / height) - 1)
    const steps = {
      ArrowDown: index + 1,
      ArrowUp: index < 0 ? this.items.length - 1 : index - 1,
      PageDown: index + page,
      PageUp: index - page,
      Home: 0,
      End: this.items.length - 1,
    }
    if (event.altKey || event.ctrlKey || event.metaKey) return
    if (event.key in steps && this.items.length) {
      const next = Math.min(Math.max(steps[event.key], 0), this.items.length - 1)
      this.#activate(this.items[next])
      this.#reveal(next)
      this.#place()
      move?.(this.items[next])
    } else if (event.key === 'Enter' && index >= 0) {
      open(this.items[index])
    } else {
      return
    }
    event.preventDefault()
  }
}
