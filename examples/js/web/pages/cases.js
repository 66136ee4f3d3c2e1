// Bad input and failures, each against an engine in this page: `runCase(engine, { name, kind, url, frames, third }, report)`.
// `engine` is the exports of a Rust engine (see README.md), or the same functions around the published engine
// (published-engine.js). `kind` and `url` are those of the plugin of the case, `frames` is the origin of plugins in frames,
// and `third` another origin.
// A case reports one line: {"case": …, what it saw…}; and notes, lines that are printed but not compared.

const later = ms => new Promise(done => setTimeout(done, ms))

/** What becomes of a promise: its value, `error`, or `pending` if it takes longer than `ms`. */
const outcome = (promise, ms = 5000) => Promise.race([
  promise.then(value => value ?? 'ok', error => { outcome.error = String(error?.message ?? error); return 'error' }),
  later(ms).then(() => 'pending'),
])

/** Waits until `check` returns a truthy value, for about 20 s. */
const until = async check => {
  for (const end = performance.now() + 20_000; performance.now() < end;) {
    const value = await check()
    if (value) return value
    await later(50)
  }
  return 'never'
}

/** An engine with calls of plain values. */
const wrap = engine => ({
  activate: (kind, name, url) => engine.activate(kind, name, url),
  deactivate: name => engine.deactivate(name),
  call: async (plugin, method, ...args) => JSON.parse(await engine.call(plugin, method, JSON.stringify(args))),
  linkStates: name => JSON.parse(engine.link_states(name)),
  /** Whether the plugin still answers. */
  echoes: async name => outcome(engine.call(name, 'echo', '["still here"]').then(text => text === '"still here"' ? 'ok' : text)),
})

/** A frame that posts what it is asked to plugins or to the engine, and counts the messages that it receives. */
async function attacker(origin) {
  const frame = document.createElement('iframe')
  frame.src = `${origin}/attacker.html`
  const loaded = new Promise(done => { frame.onload = done })
  document.body.append(frame)
  await loaded
  const { port1, port2 } = new MessageChannel()
  frame.contentWindow.postMessage('port', '*', [port2])
  const ask = request => new Promise(done => {
    port1.onmessage = event => done(event.data)
    port1.postMessage(request)
  })
  return { ask, window: frame.contentWindow }
}

/** Third frames that do the same: one of the plugin's own origin, and one of another. */
async function attackers({ frames, third }) {
  const all = [await attacker(frames), await attacker(third)]
  const plugins = () => Array.from({ length: window.length }, (_, n) => n).filter(n => all.every(one => one.window !== window[n]))
  const askAll = async request => { let sum = 0; for (const { ask } of all) sum += await ask(request); return sum }
  return { post: (target, messages) => askAll({ frames: target === 'plugins' ? plugins() : 'engine', messages }), hasReceived: async () => await askAll({}) > 0 }
}

const request = (id, key, ...payload) => ({ action: 'request', id, name: 'probe', key, payload, requestInfo: { from: 'local', path: 'probe' } })
const handshake = id => ({ action: 'request', id, name: 'evil', key: 'handshake', payload: ['evil', null] })
const ids = Array.from({ length: 60 }, (_, id) => id)

const cases = {
  /** A third frame speaks to the engine as if it was the plugin. */
  async 'forged-to-engine'({ engine, kind, url, ...origins }) {
    await engine.activate(kind, 'probe', url)
    await engine.call('probe', 'watch', 'probe', 'changed')
    const { methods } = await engine.call('manager', 'getProfile', 'probe')
    const third = await attackers(origins)
    const slow = engine.call('probe', 'slow', 1000, 'real')
    await third.post('engine', [
      { action: 'request', key: 'handshake', id: -1 },
      ...ids.map(id => ({ action: 'response', id, name: 'probe', key: 'handshake', payload: ['forged'] })),
      ...ids.map(id => ({ action: 'response', id, name: 'probe', key: 'slow', payload: 'forged' })),
      { action: 'emit', key: 'changed', payload: ['forged'] },
      { action: 'request', id: 1, name: 'manager', key: 'deactivatePlugin', payload: ['probe'] },
    ])
    return {
      slow: await outcome(slow),
      events: await outcome(engine.call('probe', 'watched')),
      sameMethods: (await engine.call('manager', 'getProfile', 'probe')).methods.join() === methods.join(),
      received: await third.hasReceived(),
      echo: await engine.echoes('probe'),
    }
  },

  /** A third frame speaks to the plugin as if it was the engine. */
  async 'forged-to-plugin'({ engine, kind, url, ...origins }) {
    await engine.activate(kind, 'probe', url)
    await engine.call('probe', 'watch', 'local', 'tick')
    const third = await attackers(origins)
    const relay = engine.call('probe', 'relay', 'local', 'slow', 1000, 'real')
    await later(200)
    await third.post('plugins', [
      { action: 'notification', name: 'local', key: 'tick', payload: ['forged'] },
      ...ids.map(id => ({ action: 'response', id, name: 'local', key: 'slow', payload: 'forged' })),
      request(1, 'echo', 'forged'),
    ])
    const relayed = await outcome(relay)
    await third.post('plugins', [handshake(7), request(2, 'echo', 'forged')])
    await later(500)
    return {
      relayed,
      received: await third.hasReceived(),
      echo: await engine.echoes('probe'),
      events: await outcome(engine.call('probe', 'watched')),
    }
  },

  /** A third frame performs the handshake with the plugin before the engine does. */
  async 'forged-first'({ engine, kind, url, ...origins }) {
    const third = await attackers(origins)
    const activated = engine.activate(kind, 'probe', `${url}?late=1000`)
    for (let n = 0; n < 20; n++) {
      await third.post('plugins', [handshake(n)])
      await later(100)
    }
    return { activated: await outcome(activated, 10_000), received: await third.hasReceived(), echo: await engine.echoes('probe') }
  },

  /** Messages that are not messages, and values that JSON cannot express. */
  async 'odd-messages'({ engine, kind, url }) {
    await engine.activate(kind, 'rogue', url)
    const lines = { after: {}, events: {}, results: {} }
    for (const name of await engine.call('rogue', 'names', 'messages')) {
      await outcome(engine.call('rogue', 'post', name))
      lines.after[name] = await engine.echoes('rogue')
    }
    await engine.call('rogue', 'watch', 'odd')
    for (const name of await engine.call('rogue', 'names', 'values')) {
      await outcome(engine.call('rogue', 'fire', name))
      await later(100)
      lines.events[name] = (await engine.call('rogue', 'watched')).join() || 'none'
      const result = await outcome(engine.call('rogue', 'result', name).then(JSON.stringify))
      lines.results[name] = result
    }
    return { ...lines, echo: await engine.echoes('rogue') }
  },

  /** A string of 64 MiB as a result and in an event. Large messages may be refused; the caller has to learn of it. */
  async 'big-string'({ engine, kind, url }, note) {
    await engine.activate(kind, 'rogue', url)
    const result = await outcome(engine.call('rogue', 'big', 64).then(text => `${text.length} characters`), 20_000)
    note({ result, error: outcome.error })
    await outcome(engine.call('rogue', 'fireBig', 64), 20_000)
    return { settled: result !== 'pending', echo: await until(async () => await engine.echoes('rogue') === 'ok' && 'ok') }
  },

  'flood-events': (context, note) => flood(context, 'events', note),
  'flood-requests': (context, note) => flood(context, 'requests', note),

  /** A frame that shows another page in the middle of a call. */
  async navigate({ engine, kind, url }, note) {
    await engine.activate(kind, 'rogue', url)
    const left = await outcome(engine.call('rogue', 'leave'))
    note({ error: outcome.error, links: engine.linkStates('rogue') })
    return { call: left, deactivated: await outcome(engine.deactivate('rogue')), again: await echoesAfter(engine, kind, 'other', url) }
  },

  /** A frame that is reloaded in the middle of a call. */
  async reload({ engine, kind, url }, note) {
    await engine.activate(kind, 'probe', url)
    const call = engine.call('probe', 'slow', 60_000, 'late')
    await later(200)
    const frame = document.querySelector('iframe')
    frame.src = frame.src
    const ended = await outcome(call)
    const error = outcome.error
    const echo = await until(async () => await engine.echoes('probe') === 'ok' && 'ok')
    note({ error, links: engine.linkStates('probe') })
    return { call: ended, echo }
  },

  'worker-throws': context => failsToLoad(context, new URL('/throws.js', location).href),
  'worker-missing': context => failsToLoad(context, new URL('/missing.js', location).href),

  /** A plugin that listens 5 s after its page has loaded. */
  async late({ engine, kind, url }) {
    return { activated: await outcome(engine.activate(kind, 'probe', `${url}?late=5000`), 15_000), echo: await engine.echoes('probe') }
  },

  /** The published iframe client takes its style sheet from the plugin `theme`. */
  async theme({ engine, kind, url }) {
    await engine.activate(kind, 'themed', url)
    const style = await until(async () => await engine.call('themed', 'style'))
    return { quality: style.quality, href: style.href?.replace(location.host, 'HOST') }
  },

  /** A plugin that accepts engines of its own origin alone, then one that accepts the origin of this page too. */
  async origins({ engine, kind, url }) {
    const sameOrigin = url.replace(new URL(url).origin, location.origin)
    const activated = async (name, url) => outcome(engine.activate(kind, name, url), 20_000)
    return { another: await activated('another', url), own: await activated('own', sameOrigin), allowed: await activated('allowed', url + location.origin) }
  },

  /** Values that cannot exist in the other process, in both directions. */
  async unreadable({ engine, kind, url }) {
    let unreadable = 0
    addEventListener('messageerror', () => { unreadable++ })
    await engine.activate(kind, 'probe', url)
    const empty = new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0))
    document.querySelector('iframe').contentWindow.postMessage(empty, '*')
    const { methods } = await engine.call('manager', 'getProfile', 'probe')
    if (methods.includes('postModule')) await engine.call('probe', 'postModule')
    return { unreadable, echo: await engine.echoes('probe') }
  },

  /** A plugin that panics ends its link, and comes back. */
  async panic({ engine, kind, url }, note) {
    await engine.activate(kind, 'probe', url)
    const call = await outcome(engine.call('probe', 'panic'))
    const { error } = outcome
    const echo = await until(async () => await engine.echoes('probe') === 'ok' && 'ok')
    note({ error, links: engine.linkStates('probe') })
    return { call, says: error.includes('the plugin panicked: on purpose'), echo }
  },

  /** A page in the background, which runs its timers once per second. */
  async background({ engine, kind, url, report }, note) {
    await engine.activate(kind, 'probe', url)
    report(JSON.stringify({ event: 'hide' }))
    const hidden = await until(() => document.visibilityState === 'hidden')
    const started = performance.now()
    for (let n = 0; n < 15; n++) await later(100)
    const timers = performance.now() - started
    const calls = []
    for (let n = 0; n < 20; n++) calls.push(await engine.echoes('probe'))
    const slow = await outcome(engine.call('probe', 'slow', 100, 'late'))
    note({ timers: Math.round(timers), all: Math.round(performance.now() - started) })
    return { hidden, throttled: timers > 4000, calls: calls.every(call => call === 'ok'), slow, links: engine.linkStates('probe').map(({ state }) => state).join() }
  },
}

/** A plugin that posts 100,000 messages at once and more until its end. Another plugin keeps working. */
async function flood({ engine, kind, url, probe }, what, note) {
  const started = performance.now()
  const times = {}
  const timed = async (name, promise) => {
    const result = await promise
    times[name] = Math.round(performance.now() - started)
    return result
  }
  let messages = 0
  addEventListener('message', () => messages++)
  await engine.activate('worker', 'probe', probe)
  await engine.activate(kind, 'rogue', url)
  engine.call('rogue', 'flood', what, 100_000).catch(() => {})
  // A frame's messages take long to cross to this page's process. A worker's are handed over at once.
  await timed('started', kind === 'iframe' ? until(() => messages > 10_000) : later(500))
  const lines = {
    during: await timed('during', engine.echoes('probe')),
    deactivated: await timed('deactivated', outcome(engine.deactivate('rogue'), 20_000)),
    after: await timed('after', engine.echoes('probe')),
    again: await timed('again', echoesAfter(engine, kind, 'other', url)),
  }
  note({ times, messages, links: engine.linkStates('rogue') })
  return lines
}

const echoesAfter = async (engine, kind, name, url) =>
  await outcome(engine.activate(kind, name, url)) === 'ok' ? engine.echoes(name) : 'not activated'

async function failsToLoad({ engine, probe }, url) {
  const activated = await outcome(engine.activate('worker', 'broken', url), 15_000)
  return {
    activated,
    urlInError: activated === 'error' && outcome.error.includes(url),
    other: await echoesAfter(engine, 'worker', 'probe', probe),
  }
}

export async function runCase(engine, query, report) {
  const name = query.get('case')
  const context = { engine: wrap(engine), kind: query.get('kind'), url: query.get('url'), frames: query.get('frames'), third: query.get('third'), report, probe: new URL('/worker.js', location).href }
  const seen = await cases[name](context, note => report(JSON.stringify({ note })))
  report(JSON.stringify({ case: name, ...seen }))
  report(JSON.stringify({ event: 'done' }))
}
