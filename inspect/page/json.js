// Shows JSON, coloured, and safe to look at.
import { h } from './dom.js'
import { bytes, exact, visible, visibleLines } from './text.js'

/** Characters that are coloured, and shown at all. */
const MAX_COLOURED = 100_000
const MAX_SHOWN = 1_000_000

const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(true|false|null)\b|(-?\d[\d.eE+-]*)/g

/** Parses JSON, and keeps integers whole that JavaScript's numbers cannot hold, where the browser can. */
export function parseJson(text) {
  if (!JSON.rawJSON || !/\d{16}/.test(text)) return JSON.parse(text)
  return JSON.parse(text, (_, value, { source }) =>
    typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(source) ? JSON.rawJSON(source) : value,
  )
}

/** An element with a value as JSON on several lines. */
export function jsonView(value, { cut, label = 'JSON' } = {}) {
  const isBeginning = cut !== undefined && typeof value === 'string'
  const text = isBeginning ? value : (JSON.stringify(value, null, 2) ?? '')
  const view = h('pre', { class: 'json', tabindex: '0', role: 'region', 'aria-label': label })
  const shown = visibleLines(text.length > MAX_SHOWN ? text.slice(0, MAX_SHOWN) : text, MAX_SHOWN)
  view.append(...(shown.length > MAX_COLOURED || isBeginning ? [shown] : coloured(shown)))
  const notes = []
  if (cut !== undefined)
    notes.push(
      isBeginning
        ? `Cut: the first ${exact(value.length)} characters of ${bytes(cut)}.`
        : `Not kept: ${bytes(cut)}. It is too long, or a value passed between threads.`,
    )
  if (text.length > MAX_SHOWN)
    notes.push(`Only the first ${exact(MAX_SHOWN)} of ${exact(text.length)} characters are shown; copying copies all.`)
  return h(
    'div',
    {},
    value !== undefined && view,
    notes.map(note => h('p', { class: 'quiet' }, note)),
  )
}

function* coloured(text) {
  let end = 0
  for (const match of text.matchAll(TOKEN)) {
    const [whole, string, colon, word, number] = match
    if (match.index > end) yield text.slice(end, match.index)
    const kind = string ? (colon ? 'key' : 'string') : word ? 'word' : number ? 'number' : ''
    yield h('span', { class: `json-${kind}` }, string ?? whole)
    if (colon) yield colon
    end = match.index + whole.length
  }
  yield text.slice(end)
}

/** The text of an error of any JSON type. */
export const errorText = error =>
  typeof error === 'string'
    ? visible(error, 2000)
    : typeof error?.message === 'string'
      ? visible(error.message, 2000)
      : visible(JSON.stringify(error), 2000)
