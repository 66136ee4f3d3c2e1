// A plugin without a client that posts messages as it likes, in a frame or in a worker.
const send = globalThis.parent ? message => parent.postMessage(message, '*') : message => postMessage(message)

const cycle = {}
cycle.self = cycle
const values = {
  undefined, bigint: 1n, map: new Map([[1, 2]]), set: new Set([1]), buffer: new ArrayBuffer(8), date: new Date(0), cycle, nan: NaN,
  surrogate: '\ud83d', proto: JSON.parse('{"__proto__":1}'),
}
const messages = {
  undefined, null: null, number: 1, text: '{"action":"emit"}', list: [], boolean: true, bigint: 1n, map: new Map(), buffer: new ArrayBuffer(8), cycle,
  'empty object': {},
  'unknown action': { action: 'dance', id: 5, name: 'rogue', key: 'k', payload: [] },
  'response without a call': { action: 'response', id: 12345, name: 'rogue', key: 'k', payload: 1 },
  'response without an id': { action: 'response', name: 'rogue', key: 'k', payload: 1 },
  'event without a payload': { action: 'emit', key: 'other' },
  'event without a key': { action: 'emit', payload: { href: 'x' } },
  'event with a cycle': { action: 'emit', key: 'other', payload: [cycle] },
  'request without a payload': { action: 'request', id: 6, name: 'local', key: 'echo' },
  'request with a bigint': { action: 'request', id: 7, name: 'local', key: 'echo', payload: [1n] },
  'request of a number': { action: 'request', id: 8, name: 3, key: 4, payload: [] },
  'subscription to a number': { action: 'on', name: 3, key: 4 },
  'key of a web view': { action: 'keydown', key: 'a', code: 'KeyA', altKey: false },
  'handshake with a large id': { action: 'request', key: 'handshake', id: 1e300 },
}

/** A value as text: as JSON, or what it is. */
const describe = value => {
  if (value === undefined) return 'undefined'
  if (typeof value === 'bigint') return `${value}n`
  if (value instanceof Object && ![Object, Array].includes(value.constructor)) return value.constructor.name
  try { return JSON.stringify(value) } catch { return 'cycle' }
}

const seen = []
const big = mib => 'x'.repeat(mib << 20)
const floods = {
  events: n => ({ action: 'emit', key: 'flood', payload: [n] }),
  requests: id => ({ action: 'request', id, name: 'local', key: 'echo', payload: [id] }),
}

const methods = {
  echo: value => value,
  names: kind => Object.keys({ messages, values }[kind]),
  post: name => { send(messages[name]); return true },
  watch: key => { send({ action: 'on', name: 'rogue', key }); return true },
  watched: () => seen.splice(0),
  fire: name => { send({ action: 'emit', key: 'odd', payload: [values[name]] }); return true },
  result: name => values[name],
  /** A value that cannot exist in the process of another site. */
  postModule: () => { send({ module: new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0)) }); return true },
  big,
  fireBig: mib => { send({ action: 'emit', key: 'big', payload: [big(mib)] }); return true },
  leave: () => { location.href = '/theme.css'; return new Promise(() => {}) },
  flood(what, count) {
    const post = (from, to) => { for (let n = from; n < to; n++) send(floods[what](n)) }
    post(0, count)
    setInterval(() => { post(count, count += 100) }, 10)
    return new Promise(() => {})
  },
}

addEventListener('message', async ({ data }) => {
  if (data.action === 'notification') { seen.push(describe(data.payload[0])); return }
  if (data.action !== 'request') return
  const { id, name, key } = data
  const payload = key === 'handshake' ? Object.keys(methods) : await methods[key](...data.payload)
  send({ action: 'response', id, name, key, payload })
})
