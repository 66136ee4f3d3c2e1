// A row of the messages.
import { h, icon, setAttribute, setText } from './dom.js'
import { bytes, clock, compact, duration, exact, visible } from './text.js'

export const createRow = () =>
  h(
    'div',
    { class: 'row' },
    h('span', { class: 'at mono' }),
    h('span', { class: 'kind' }),
    h('span', { class: 'who name' }),
    h('span', { class: 'what mono name' }),
    h('span', { class: 'data mono' }),
    h('span', { class: 'outcome' }),
  )

export function updateRow(element, row, store) {
  const [at, kind, who, what, data, outcome] = element.children
  if (row.kind === 'note') {
    setAttribute(element, 'class', 'row note')
    for (const cell of element.children) setText(cell, '')
    return setText(data, row.text)
  }
  setAttribute(element, 'class', `row is-${row.state}${row.isFailed ? ' is-failed' : ''}`)
  row.clock ??= clock(store.wall(row.at))
  setText(at, row.clock)
  if (kind.dataset.is !== row.kind) {
    kind.dataset.is = row.kind
    kind.replaceChildren(icon(row.kind), h('span', { class: 'hidden' }, row.kind))
  }
  setText(who, row.to ? `${visible(row.from, 60)} → ${visible(row.to, 60)}` : visible(row.from, 60))
  setText(what, row.key !== undefined ? visible(row.key, 80) : row.action ? visible(row.action, 40) : '')
  row.preview ??= preview(row)
  setText(data, row.preview)
  setText(outcome, ending(row))
}

/** Arguments and result, in one line. */
function preview(row) {
  if (row.text) return visible(row.text, 300)
  if (row.kind === 'message') {
    const payload = record =>
      record?.cut !== undefined ? beginning(record) : record && compact(record.data?.error || (record.data?.payload ?? null))
    return [row.action === 'request' ? '' : row.action, payload(row.args), row.result && `→ ${payload(row.result)}`]
      .filter(Boolean)
      .join(' ')
  }
  const part = record => (record?.cut !== undefined ? beginning(record) : compact(record?.data))
  return [part(row.args), row.result && part(row.result) && `→ ${part(row.result)}`].filter(Boolean).join(' ')
}

/** What is kept of a payload that is not kept whole. */
const beginning = ({ data, cut }) => (typeof data === 'string' ? compact(data) : `(${bytes(cut)})`)

function ending({ kind, state, ran, took, listeners }) {
  const time = kind === 'message' ? duration(took) : duration(ran)
  if (state === 'returned') return time
  if (state === 'failed') return `failed ${time}`
  if (state === 'dropped') return `given up ${time}`
  if (kind === 'event') return listeners ? `${exact(listeners)} ↗` : 'no listener'
  return state === 'sent' || kind === 'link' ? '' : state
}
