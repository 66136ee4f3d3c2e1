// Which node of a graph is in which layer, and in which order.

/** Sweeps that put nodes near those that they are connected with. */
const SWEEPS = 6

/**
 * Layers of the names: a caller is in an earlier layer than what it calls, except where calls go round in a circle.
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
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const forward = sweep % 2 === 0
    const neighbours = forward ? sources : targets
    const order = forward ? full : [...full].reverse()
    for (const [index, column] of order.entries()) if (index > 0) arrange(column, neighbours, full)
  }
  return { columns: full, alone: names.filter(name => !connected.has(name)) }
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
