// Draws who calls whom: callers on the left, the plugins that they call to the right of them.
import { h, setAttribute, setText, svg, sync } from './dom.js'
import { layers } from './layers.js'
import { pluginUrl } from './plugins.js'
import { CONDITIONS, condition, edgeKey } from './store.js'
import { count, duration, plural, rate, visible } from './text.js'

const NODE = { width: 158, height: 56 }
/** The place of an edge that passes a layer. */
const PASS = 20
const GAP = { x: 88, maxX: 200, y: 20 }
/** The picture shrinks at most to this part of its size; beyond that it scrolls. */
const MIN_SCALE = 0.8
/** Below this width, layers follow from top to bottom. */
const NARROW = 600
/** Calls that are drawn one by one in a node. */
const MAX_PIPS = 10

export class Graph {
  element = h('div', { class: 'graph' })
  #svg = svg('svg', { role: 'group', 'aria-label': 'Who calls whom' })
  #edges = svg('g')
  #labels = svg('g')
  #nodes = svg('g')
  #shape = ''
  #layout

  constructor() {
    const arrow = (id, name) =>
      svg(
        'marker',
        {
          id,
          class: name,
          viewBox: '0 0 8 8',
          refX: 7,
          refY: 4,
          markerWidth: 7,
          markerHeight: 7,
          markerUnits: 'userSpaceOnUse',
          orient: 'auto',
        },
        svg('path', { d: 'M0 0.5 8 4 0 7.5z' }),
      )
    this.#svg.append(
      svg('defs', {}, arrow('arrow', 'arrow'), arrow('arrow-live', 'arrow live'), arrow('arrow-wait', 'arrow wait')),
      this.#edges,
      this.#labels,
      this.#nodes,
    )
    this.element.append(this.#svg)
    new ResizeObserver(() => this.#place()).observe(this.element)
  }

  /** Shows plugins, as of the store, and edges between them. */
  update(plugins, edges) {
    const shape = JSON.stringify([plugins.map(({ name }) => name), edges.map(({ from, to }) => [from, to])])
    if (shape !== this.#shape) {
      this.#shape = shape
      this.#layout = layers(
        plugins.map(({ name }) => name),
        edges,
      )
    }
    sync(this.#nodes, plugins, ({ name }) => name, createNode, updateNode)
    sync(this.#edges, edges, edgeKey, () => svg('path', { class: 'edge' }), updateEdge)
    sync(
      this.#labels,
      edges,
      edgeKey,
      () => svg('text', { class: 'edge-label', 'text-anchor': 'middle', 'aria-hidden': 'true' }),
      updateLabel,
    )
    this.#place()
  }

  #place() {
    const available = this.element.clientWidth
    if (!this.#layout || !available) return
    const { places, width, height, isNarrow } = positions(this.#layout, available)
    setAttribute(this.#svg, 'viewBox', `0 0 ${width} ${height}`)
    const scale = Math.min(1, Math.max(MIN_SCALE, available / width))
    setAttribute(this.#svg, 'width', Math.floor(width * scale))
    setAttribute(this.#svg, 'height', Math.ceil(height * scale))
    for (const [name, node] of this.#nodes.known ?? []) {
      const { x, y } = places.get(name)
      setAttribute(node, 'transform', `translate(${x} ${y})`)
    }
    for (const [key, edge] of this.#edges.known ?? []) {
      const { from, to } = edge.edge
      const { path, middle } = connect(
        places.get(from),
        places.get(to),
        isNarrow,
        isNarrow ? [] : (this.#layout.routes.get(key) ?? []).map(name => places.get(name)),
      )
      setAttribute(edge, 'd', path)
      const label = this.#labels.known.get(key)
      setAttribute(label, 'x', middle.x)
      setAttribute(label, 'y', middle.y)
    }
  }
}

/** The upper left corner of each node, and the picture's size. */
function positions({ columns, routes, alone }, available) {
  const isNarrow = available < NARROW
  const places = new Map()
  const passing = new Set([...routes.values()].flat())
  let [width, height] = [available, 0]
  if (isNarrow) {
    for (const column of columns)
      height =
        inRows(
          places,
          column.filter(name => !passing.has(name)),
          available,
          height + 1,
          true,
        ) + 57
    height -= columns.length ? 57 : 0
  } else {
    const gap =
      columns.length > 1
        ? Math.min(GAP.maxX, Math.max(GAP.x, (available - 2 - columns.length * NODE.width) / (columns.length - 1)))
        : 0
    const heightOf = name => (passing.has(name) ? PASS : NODE.height)
    const heights = columns.map(column => column.reduce((sum, name) => sum + heightOf(name) + GAP.y, 2 - GAP.y))
    height = Math.max(0, ...heights)
    columns.forEach((column, index) => {
      let top = 1 + (height - heights[index]) / 2
      for (const name of column) {
        places.set(name, { x: 1 + index * (NODE.width + gap), y: top })
        top += heightOf(name) + GAP.y
      }
    })
    width = Math.max(available, 2 + columns.length * NODE.width + (columns.length - 1) * gap)
    // Edges that lead back curve below the lowest node.
    if (height) height += 26
  }
  if (alone.length) height = inRows(places, alone, available, height ? height + (isNarrow ? 28 : 8) : 1, isNarrow)
  return { places, width: Math.max(width, NODE.width + 2), height: Math.max(height, 1) + 1, isNarrow }
}

/** Places nodes in rows, as many as fit. Returns where the last row ends. */
function inRows(places, names, available, top, isCentred) {
  const gap = 14
  const perRow = Math.max(1, Math.floor((available - 2 + gap) / (NODE.width + gap)))
  names.forEach((name, index) => {
    const row = Math.floor(index / perRow)
    const nodes = Math.min(perRow, names.length - row * perRow)
    const left = isCentred ? (available - nodes * (NODE.width + gap) + gap) / 2 : 1
    places.set(name, { x: left + (index % perRow) * (NODE.width + gap), y: top + row * (NODE.height + gap) })
  })
  return top + Math.ceil(names.length / perRow) * (NODE.height + gap) - gap
}

/** A curve between two nodes, through the places of its route, and the place of its label. */
function connect(from, to, isNarrow, route) {
  const { width, height } = NODE
  if (route.length) return through(from, to, route)
  if (from === to) {
    const [x, y] = [from.x + width - 30, from.y + height]
    return { path: `M${x} ${y}c0 24 24 24 24 1`, middle: { x: x + 12, y: y + 15 } }
  }
  const vertical = isNarrow || Math.abs(from.x - to.x) < width
  const forward = vertical ? to.y > from.y : to.x > from.x
  let a, b, c, d
  if (vertical && !isNarrow) {
    // In one column: around its right side.
    a = { x: from.x + width, y: from.y + height / 2 }
    d = { x: to.x + width, y: to.y + height / 2 }
    const out = 40 + Math.abs(from.y - to.y) / 8
    b = { x: a.x + out, y: a.y }
    c = { x: d.x + out, y: d.y }
  } else if (vertical) {
    a = { x: from.x + width / 2 + (forward ? 0 : 20), y: forward ? from.y + height : from.y }
    d = { x: to.x + width / 2 + (forward ? 0 : 20), y: forward ? to.y : to.y + height }
    const bend = Math.max(20, Math.abs(d.y - a.y) / 2) * (forward ? 1 : -1)
    b = { x: a.x, y: a.y + bend }
    c = { x: d.x, y: d.y - bend }
  } else if (forward) {
    a = { x: from.x + width, y: from.y + height / 2 }
    d = { x: to.x, y: to.y + height / 2 }
    const bend = (d.x - a.x) / 2
    b = { x: a.x + bend, y: a.y }
    c = { x: d.x - bend, y: d.y }
  } else if (from.x - to.x <= width + GAP.maxX) {
    // Back to the layer before: below the edge that leads here, if there is one.
    a = { x: from.x, y: from.y + height * 0.8 }
    d = { x: to.x + width, y: to.y + height * 0.8 }
    const bend = (a.x - d.x) / 2
    b = { x: a.x - bend, y: a.y }
    c = { x: d.x + bend, y: d.y }
  } else {
    a = { x: from.x + width / 2, y: from.y + height }
    d = { x: to.x + width / 2, y: to.y + height }
    const depth = Math.max(a.y, d.y) + 34
    b = { x: a.x, y: depth }
    c = { x: d.x, y: depth }
  }
  const at = t => axis =>
    (1 - t) ** 3 * a[axis] + 3 * (1 - t) ** 2 * t * b[axis] + 3 * (1 - t) * t ** 2 * c[axis] + t ** 3 * d[axis]
  const middle = at(0.5)
  return { path: `M${a.x} ${a.y}C${b.x} ${b.y} ${c.x} ${c.y} ${d.x} ${d.y}`, middle: { x: middle('x'), y: middle('y') + 4 } }
}

function through(from, to, route) {
  let [x, y] = [from.x + NODE.width, from.y + NODE.height / 2]
  let path = `M${x} ${y}`
  const bend = (toX, toY) => {
    path += `C${(x + toX) / 2} ${y} ${(x + toX) / 2} ${toY} ${toX} ${toY}`
  }
  for (const place of route) {
    const level = place.y + PASS / 2
    bend(place.x, level)
    ;[x, y] = [place.x + NODE.width, level]
    path += `H${x}`
  }
  bend(to.x, to.y + NODE.height / 2)
  return { path, middle: { x: route[0].x + NODE.width / 2, y: route[0].y + PASS / 2 + 4 } }
}

function createNode({ name }) {
  const { width, height } = NODE
  return svg(
    'a',
    { class: 'node', href: pluginUrl(name) },
    svg('title'),
    svg('rect', { class: 'box', width, height, rx: 8 }),
    svg('use', { x: 12, y: 11, width: 14, height: 14 }),
    svg('text', { class: 'node-name', x: 33, y: 23 }, visible(name, 17)),
    svg('text', { class: 'node-figures', x: 12, y: 43 }),
    svg('g', { class: 'pips', transform: `translate(${width - 10} 39)` }),
  )
}

function updateNode(node, plugin) {
  const { statistics, isUnknown } = plugin
  const [title, , use, , figures, pips] = node.children
  const now = isUnknown ? 'inactive' : condition(plugin)
  setAttribute(node, 'class', `node is-${now}${isUnknown ? ' unknown' : ''}`)
  setAttribute(use, 'class', `icon icon-${now}`)
  setAttribute(use, 'href', `#i-${now}`)
  const { waiting = 0, running = 0, errors = 0, calls = 0 } = statistics ?? {}
  setText(
    figures,
    statistics
      ? `${statistics.rate > 0 ? rate(statistics.rate) : plural(calls, 'call')}${statistics.p50 ? ` · ${duration(statistics.p50)}` : ''}`
      : isUnknown
        ? 'not registered'
        : CONDITIONS[now],
  )
  setText(
    title,
    `${visible(plugin.name)}: ${isUnknown ? 'not registered' : CONDITIONS[now]}; ${plural(calls, 'call')}, ${errors} failed, ${running} running, ${waiting} waiting`,
  )
  const shown = [...Array(Math.min(running, MAX_PIPS)).fill('run'), ...Array(Math.min(waiting, MAX_PIPS)).fill('wait')].slice(
    0,
    MAX_PIPS,
  )
  sync(
    pips,
    shown.map((kind, index) => ({ kind, index })),
    ({ index }) => index,
    ({ index }) => svg('rect', { x: -5 - index * 7, y: -4, width: 5, height: 9, rx: 1.5 }),
    (pip, { kind }) => setAttribute(pip, 'class', kind),
  )
}

function updateEdge(element, edge) {
  element.edge = edge
  const isWaiting = edge.waiting > 0
  setAttribute(element, 'class', `edge${isWaiting ? ' wait' : ''}${edge.rate > 0 ? ' live' : ''}`)
  setAttribute(element, 'stroke-width', (1.25 + Math.min(3, Math.log10(1 + edge.rate))).toFixed(2))
  setAttribute(element, 'marker-end', `url(#${isWaiting ? 'arrow-wait' : edge.rate > 0 ? 'arrow-live' : 'arrow'})`)
}

function updateLabel(element, { rate: perSecond, waiting, running, calls }) {
  const parts = [
    perSecond > 0 ? rate(perSecond) : waiting || running ? '' : count(calls),
    waiting ? `${count(waiting)} waiting` : '',
  ].filter(Boolean)
  setAttribute(element, 'class', `edge-label${waiting ? ' wait' : perSecond > 0 ? '' : ' quiet'}`)
  setText(element, parts.join(' · '))
}
