// A table whose rows the reader may order by a column.
import { h, setAttribute, setText, sync } from './dom.js'

const DIRECTIONS = { 1: 'ascending', '-1': 'descending' }

/** Orders numbers and texts; what has no value is last in both directions. */
function compare(a, b, direction) {
  if (a === b) return 0
  if (a === undefined || a === null) return 1
  if (b === undefined || b === null) return -1
  return a < b ? -direction : direction
}

/**
 * A table: a heading for each column. Columns: `name`, `title`, `number` (aligned right), `mono`, `show(item, cell)`; `by(item)`, the
 * value by which the reader may order the rows. `update(items)` shows the first `max` of the items. They are in the given order until
 * a heading is pressed: then by its column, numbers from the largest and texts from the first; then the other way round; then as given.
 */
export function table(label, { columns, key, max = Infinity, rowProperties = () => ({}) }) {
  let items = []
  let order
  const body = h('tbody')
  const header = columns.map((column, index) =>
    h(
      'th',
      { scope: 'col', class: column.number && 'number', title: column.title },
      column.by ? h('button', { class: 'sort', onclick: () => press(index) }, column.name) : column.name,
    ),
  )
  const element = h('table', {}, h('caption', { class: 'hidden' }, label), h('thead', {}, h('tr', {}, header)), body)

  function press(index) {
    const first = columns[index].number ? -1 : 1
    if (order?.index !== index) order = { index, direction: first }
    else order = order.direction === first ? { index, direction: -first } : undefined
    header.forEach((cell, index) => setAttribute(cell, 'aria-sort', order?.index === index && DIRECTIONS[order.direction]))
    show()
  }

  function sorted() {
    if (!order) return items
    const { by } = columns[order.index]
    return [...items].sort((a, b) => compare(by(a), by(b), order.direction))
  }

  function show() {
    sync(
      body,
      sorted().slice(0, max),
      key,
      item =>
        h(
          'tr',
          rowProperties(item),
          columns.map(({ number, mono }) =>
            h('td', { class: [number && 'number', mono && 'mono'].filter(Boolean).join(' ') || undefined }),
          ),
        ),
      (row, item) =>
        columns.forEach(({ show }, index) => {
          const cell = row.children[index]
          const text = show(item, cell)
          if (typeof text === 'string') setText(cell, text)
        }),
    )
  }

  return {
    element,
    update(next) {
      items = next
      show()
    },
  }
}
