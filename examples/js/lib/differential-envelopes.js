// Random envelopes, the same for the same seed.

/** A small random number generator from 0 to 1 (mulberry32). */
const numbers = seed => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}

const IDS = ['0', '7', '-3', '7.5', '1e2', '0.0', '-0', '1e400', '9007199254740993', '12345678901234567890', '"0"', '"7"', '"b3c1-uuid"', '""',
  '"\\ud83d"', '"\\u00e9\\n"', 'null', 'true', 'false', '[]', '[7]', '{}', '{"a":[1,{"b":null}]}', '"é😀"']
/** The id of the call $ID, and some that belong to no call. */
const PAIRING = ['$ID', '"$ID"', '$ID.0', '$IDe0', '[$ID]', '["$ID"]', ' $ID ', '" $ID"', '"0$ID"', '[$ID,1]', '{"a":$ID}', '$ID.5', 'null', '"x"']
const ODD = ['"\\ud83d"', '"\\udc00x"', '"x\\ud83dy"', '5', 'null', 'true', 'false', '[1]', '{}', '["echo"]', '1.5', '0', '""']
const PAYLOADS = ['[]', '[1]', '[1,2]', '["a","b"]', '["\\ud83d"]', '[null]', '[[1],{"a":2}]', '[1e400]', '["é😀\\u2028"]', '[{"a":1,"a":2}]', '[0.1,1e21,-0]']
const NO_ARRAY = ['null', '5', '{}', 'true', 'false', '0', '""', '{"0":1,"length":1}']
const INFOS = ['5', 'null', '[]', '{}', '"x"', 'true', '{"from":"local"}', '{"from":5,"isFromNative":"yes"}', '{"from":"\\ud83d","path":"probe"}',
  '{"path":null}', '{"path":""}', '{"path":"\\ud83d"}', '{"path":"probe","later":{}}', '{"from":"a","from":null}', '{"\\ud83d":1}']
const PATHS = ['"probe.tools"', '"probe.nothing"', '"\\ud83d.tools"', '"probe.\\ud83d"', '5', '[]', '{}', 'true', 'false', '0']
const VALUES = ['1', 'null', '"x"', '[]', '{}', 'true', '"\\ud83d"', '{"message":"m"}', '{"a":{"b":1}}', '0', 'false', '""', '-0.0', '1e-999']
const EXTRAS = ['later', 'errorKind', 'extensions', '\\ud83d', 'type', 'jsonrpc', '__proto__', 'error']
const BROKEN = ['NaN', '-Infinity', '[NaN]', "'x'", '[1,]', '{"a":}', '01', '"\\x"', '"a\nb"', '[', '+1', 'undefined', '"\\u12"']

/** Returns a function that makes the next envelope for an end: its text, its kind, and its members, if it is JSON. */
exports.generator = function (seed) {
  const chance = numbers(seed)
  const maybe = share => chance() < share
  const pick = list => list[Math.floor(chance() * list.length)]

  const NAME = { engine: ['"local"', '"local"', '"local"', '"nobody"', '"local.sub"', '"lo\\u0063al"'], plugin: ['"probe"', '"probe"', '"other"', '"pr\\u006fbe"'] }
  const KEY = { engine: ['"echo"', '"echo"', '"refuse"', '"nothing"', '"e\\u0063ho"'], plugin: ['"echo"', '"echo"', '"fail"', '"ping"', '"nothing"'] }
  const member = (usual, share = 0.15) => (maybe(share) ? pick(ODD) : pick(usual))

  function requests(end) {
    const members = [['action', pick(['"request"', '"request"', '"call"', '"re\\u0071uest"'])], ['id', pick(IDS)], ['name', member(NAME[end])], ['key', member(KEY[end])]]
    members.push(['payload', maybe(0.12) ? pick([...NO_ARRAY, '"ab"']) : pick(PAYLOADS)])
    if (maybe(0.25)) members.push(['requestInfo', end === 'plugin' && maybe(0.5) ? `{"from":"local","path":${pick(PATHS)}}` : pick(INFOS)])
    return members
  }
  function responses(end) {
    const [name, key] = end === 'engine' ? ['"probe"', '"m"'] : ['"x"', '"y"']
    const members = [['action', '"response"'], ['id', pick(PAIRING)], ['name', member([name], 0.1)], ['key', member([key], 0.1)]]
    if (maybe(0.8)) members.push(['payload', pick(VALUES)])
    if (maybe(0.3)) members.push(['error', pick(VALUES)])
    if (maybe(0.1)) members.push(['requestInfo', pick(INFOS)])
    return members
  }
  function events(end) {
    const name = end === 'engine' ? ['"probe"', '"probe"', '"nobody"'] : ['"local"']
    const action = end === 'engine' ? pick(['"on"', '"listen"', '"off"', '"emit"', '"emit"', '"notification"', '"cancel"']) : pick(['"notification"', '"emit"', '"on"', '"cancel"'])
    const members = [['action', action], ['name', member(name)], ['key', member(['"e"', '"f"', '"g"'])], ['payload', maybe(0.2) ? pick(NO_ARRAY) : pick(PAYLOADS)]]
    if (maybe(0.3)) members.push(['id', pick(IDS)])
    return members
  }
  function others() {
    return [['action', pick(['"dance"', '5', 'null', '"\\ud83d"', '{}', '[]', '""', '"Request"', '"handshake"'])], ['id', pick(IDS)], ['name', '"n"'], ['key', '"k"'], ['payload', '[]']]
  }
  function handshakes(end) {
    const payload = end === 'plugin' ? [['payload', pick(['["probe",null]', '["probe"]', '["probe",{"a":1}]', '["probe","\\ud83d"]'])]] : []
    return [['action', '"request"'], ['id', pick(IDS)], ['key', '"handshake"'], ['name', end === 'plugin' ? member(['"probe"'], 0.2) : '"x"'], ...payload]
  }

  function write(members) {
    const space = () => (maybe(0.05) ? pick([' ', '\t', '  ']) : '')
    return `{${members.map(([name, value]) => `${space()}"${name}"${space()}:${space()}${value}${space()}`).join(',')}}`
  }

  return function envelope(end) {
    const kind = pick(['request', 'request', 'request', 'response', 'response', 'event', 'event', 'other', 'handshake', 'frame'])
    if (kind === 'frame') {
      const text = pick(['5', 'null', '[]', '"x"', 'true', '', 'hello', '{}', '[{"action":"request","id":1}]', '{"id":5}', '{"action":', '\ufeff{}', '{"name":"n","id":3,"key":"k"}', '{"action":"response"}', '{"action":"response","id":null}'])
      return { end, kind, text, members: parsed(text) }
    }
    const members = { request: requests, response: responses, event: events, other: others, handshake: handshakes }[kind](end)
    // Any member may be missing except the action, which determines its kind.
    if (maybe(0.15)) members.splice(1 + Math.floor(chance() * (members.length - 1)), 1)
    if (maybe(0.15)) members.push([pick(EXTRAS), pick(VALUES)])
    const [name, value] = pick(members)
    // A text as an event's payload would be replayed, character by character, to later listeners.
    const isRead = name === 'payload' && ['event', 'handshake'].includes(kind)
    if (maybe(0.1) && !isRead) {
      members.unshift([name, name === 'action' ? value : pick(VALUES)])
    }
    if (maybe(0.3)) members.sort(() => chance() - 0.5)
    const isBroken = kind !== 'handshake' && maybe(0.07)
    if (isBroken) members.splice(Math.floor(chance() * members.length), 0, [pick(['payload', 'later', 'error']), pick(BROKEN)])
    let text = write(members)
    if (maybe(0.02)) text += pick(['}', ' x', ',', '{}'])
    return { end, kind, text, members: parsed(text.replaceAll('$ID', '1')) }
  }
}

function parsed(text) {
  try { return JSON.parse(text) } catch { return undefined }
}
