// Which node of a graph is in which layer, and in which order.
import { edgeKey } from './store.js'

/** Sweeps that put nodes near those that they are connected with. */
const SWEEPS = 6

/**
 * Layers of the names: a caller is in an earlier layer than what it calls, except where calls go round in a circle.
 * An edge that skips layers has its own place in each of them: `routes` leads from an edge's key to the names of its places.
 * `alone` are the names without an edge.
 */
export function layers(names, edges) {
  const targets = new Map(names.map(name => [name, new Set()]))
  const connected = new Set()
  // The busiest first: if calls go round in a circle, the ones that are left out are the few that lead back.
  for (const { from, to } of [...edges].sort((a, b) => b.calls - a.calls)) {
    if (!targets.has(from) || !targets.has(to)) continue
    connected.add(from).add(to)
    if (!reaches(targets, to, from)) targets.get(from).add(to)
  }
  const depths = new Map()
  const sources = reversed(targets)
  const depth = name => {
    if (!depths.has(name)) {
      depths.set(name, 0)
      depths.set(name, Math.max(-1, ...[...sources.get(name)].map(depth)) + 1)
    }
    return depths.get(name)
  }
  const columns = []
  for (const name of names) {
    if (connected.has(name)) (columns[depth(name)] ??= []).push(name)
  }
  const full = columns.filter(Boolean)
  const routes = new Map()
  for (const { from, to } of edges) {
    if (!targets.get(from)?.has(to)) continue
    const [first, last] = [from, to].map(name => full.findIndex(column => column.includes(name)))
    if (last - first < 2) continue
    const key = edgeKey({ from, to })
    const places = full.slice(first + 1, last).map((column, index) => `${index} ${key}`)
    routes.set(key, places)
    places.forEach((place, index) => full[first + 1 + index].push(place))
    join(targets, sources, [from, ...places, to])
  }
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const forward = sweep % 2 === 0
    const neighbours = forward ? sources : targets
    const order = forward ? full : [...full].reverse()
    for (const [index, column] of order.entries()) if (index > 0) arrange(column, neighbours, full)
  }
  return { columns: full, routes, alone: names.filter(name => !connected.has(name)) }
}

/** Replaces an edge by a chain of edges. */
function join(targets, sources, chain) {
  targets.get(chain[0]).delete(chain.at(-1))
  sources.get(chain.at(-1)).delete(chain[0])
  for (const [index, name] of chain.slice(1).entries()) {
    for (const known of [targets, sources]) if (!known.has(name)) known.set(name, new Set())
    targets.get(chain[index]).add(name)
    sources.get(name).add(chain[index])
  }
}

/** Sorts a column by the mean place of its neighbours. */
function arrange(column, neighbours, columns) {
  const places = new Map()
  for (const other of columns) other.forEach((name, index) => places.set(name, (index + 0.5) / other.length))
  const mean = name => {
    const near = [...neighbours.get(name)].map(other => places.get(other)).filter(place => place !== undefined)
    return near.length ? near.reduce((sum, place) => sum + place, 0) / near.length : places.get(name)
  }
  const means = new Map(column.map(name => [name, mean(name)]))
  column.sort((a, b) => means.get(a) - means.get(b))
}

function reaches(targets, from, to, seen = new Set()) {
  if (from === to) return true
  seen.add(from)
  return [...targets.get(from)].some(next => !seen.has(next) && reaches(targets, next, to, seen))
}

function reversed(targets) {
  const sources = new Map([...targets.keys()].map(name => [name, new Set()]))
  for (const [from, to] of targets) for (const name of to) sources.get(name).add(from)
  return sources
}
