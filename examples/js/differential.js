// Sends the same envelopes, valid, odd and broken, to a published and a native engine, and to a published and a native plugin,
// and compares the responses: `node differential.js --plugin ws://NATIVE`; prints {"event":"ready","url"}, where the native engine
// finds its plugin `probe`. Each envelope is followed by a call, the marker; messages up to its response belong to the envelope.
// Known differences are listed in differential-classes.js; any other, and a listed one that no longer occurs, ends with exit code 1.
// DIFFERENTIAL_SEED and DIFFERENTIAL_CASES run other or more cases.
const { isDeepStrictEqual } = require('util')
const WebSocket = require('ws')
const { report, flag } = require('./lib/cli')
const { publishedEngine, publishedPlugin } = require('./lib/differential-published')
const { generator } = require('./lib/differential-envelopes')
const classes = require('./lib/differential-classes')

const seed = +(process.env.DIFFERENTIAL_SEED ?? 1)
const cases = +(process.env.DIFFERENTIAL_CASES ?? 10_000)

// Errors that would end a published process are not responses.
process.on('uncaughtException', () => {})
process.on('unhandledRejection', () => {})
console.error = () => {}

/** The messages that an end under test has sent, and the waiting reader. */
class Inbox {
  constructor() { this.messages = []; this.wake = () => {} }
  push(message) { this.messages.push(message); this.wake() }
  /** All up to and including the first that `last` accepts. */
  async until(last, what) {
    for (;;) {
      const at = this.messages.findIndex(last)
      if (at >= 0) return this.messages.splice(0, at + 1)
      await new Promise((woken, fail) => {
        this.wake = woken
        this.limit = setTimeout(() => fail(new Error(`nothing came for 10 s: ${what}`)), 10_000)
      })
      clearTimeout(this.limit)
    }
  }
}

/** The native end, behind a websocket. */
function ours(socket) {
  const inbox = new Inbox()
  // As in JavaScript: an id like 1e400 is null, and -0 is 0.
  socket.on('message', data => inbox.push(JSON.parse(JSON.stringify(JSON.parse(data)))))
  socket.on('close', () => inbox.push({ closed: true }))
  return { inbox, send: text => socket.send(text) }
}

/** A scripted peer, and how its other end is made to call it. */
class Played {
  constructor(peer, role) {
    Object.assign(this, peer, role)
    this.next = 1_000_000
  }
  async welcome() {
    if (this.isEngine) {
      const [request] = (await this.inbox.until(m => m.key === 'handshake', 'the handshake')).slice(-1)
      this.send(JSON.stringify({ action: 'response', id: request.id, key: 'handshake', name: 'probe', payload: ['m'] }))
    } else {
      this.send(JSON.stringify({ action: 'request', id: 0, key: 'handshake', name: 'probe', payload: ['probe', null] }))
    }
    await this.marker('the welcome')
  }
  call(method, ...payload) {
    const id = this.next++
    this.send(JSON.stringify({ action: 'request', id, name: this.target, key: method, payload, ...this.stamp }))
    return id
  }
  /** The messages until a call made now is answered; answers handshakes meanwhile. */
  async marker(what) {
    const id = this.call('echo', 'marker')
    const came = []
    for (;;) {
      const [message] = (await this.inbox.until(() => true, what))
      if (message.closed) throw new Error(`the link has ended: ${what}`)
      if (message.action === 'response' && message.id === id) return came
      if (message.action === 'request') this.answer(message, message.key === 'handshake' ? ['m'] : null)
      came.push(this.seen(message))
    }
  }
  answer({ id, name, key }, payload) { this.send(JSON.stringify({ action: 'response', id, name, key, payload })) }
  /** A message without the ids that each end assigns, and without fields that only native ends send. */
  seen({ id, extensions, ...message }) {
    return message.action === 'request' ? message : id === undefined ? message : { id, ...message }
  }
  /** Sends an envelope and returns the responses. */
  async envelope(one) {
    if (one.kind !== 'response') {
      this.send(one.text)
      return this.marker(one.text)
    }
    // A call of the other end waits for the response, and finally for a correct one.
    const asked = this.next++
    this.send(JSON.stringify({ action: 'request', id: asked, ...this.ask, ...this.stamp }))
    const [request] = (await this.inbox.until(m => m.action === 'request', one.text)).slice(-1)
    this.send(one.text.replaceAll('$ID', request.id))
    const came = await this.marker(one.text)
    const answers = message => message.action === 'response' && message.id === asked
    if (!came.some(answers)) {
      this.answer(request, 'the right one')
      came.push(...(await this.inbox.until(answers, one.text)))
    }
    return came.map(({ id, ...message }) => message)
  }
}

const ENGINE = { isEngine: true, target: 'local', ask: { name: 'asker', key: 'ask', payload: [] } }
const PLUGIN = { isEngine: false, target: 'probe', ask: { name: 'probe', key: 'relay', payload: ['x', 'y'] }, stamp: { requestInfo: { from: 'local', path: 'probe' } } }

async function main() {
  const server = new WebSocket.Server({ host: '127.0.0.1', port: 0 })
  await new Promise(done => server.once('listening', done))
  report({ event: 'ready', url: `ws://127.0.0.1:${server.address().port}` })
  const ourEngine = await new Promise(done => server.once('connection', socket => done(ours(socket))))
  const toOurPlugin = new WebSocket(flag('plugin'))
  const ourPlugin = ours(toOurPlugin)
  await new Promise((done, fail) => toOurPlugin.once('open', done).once('error', fail))

  const theirEngine = await publishedEngine(new Inbox())
  const theirPlugin = publishedPlugin(new Inbox())
  const pairs = { engine: [new Played(theirEngine, ENGINE), new Played(ourEngine, ENGINE)], plugin: [new Played(theirPlugin, PLUGIN), new Played(ourPlugin, PLUGIN)] }
  for (const played of Object.values(pairs).flat()) await played.welcome()

  const count = new Map(classes.map(one => [one.why, 0]))
  const envelope = generator(seed)
  const strange = []
  for (let n = 0; n < cases; n++) {
    const end = n % 2 ? 'plugin' : 'engine'
    const one = envelope(end)
    const [theirs, ours] = pairs[end]
    const [published, native] = [await theirs.envelope(one), await ours.envelope(one)]
    const pair = { published: structuredClone(published), ours: structuredClone(native) }
    for (const { why, level } of classes) {
      if (isDeepStrictEqual(pair.published, pair.ours)) break
      if (level(one, pair)) count.set(why, count.get(why) + 1)
    }
    if (!isDeepStrictEqual(pair.published, pair.ours)) strange.push({ end, envelope: one.text, published, ours: native })
  }
  const gone = [...count].filter(([, times]) => times === 0).map(([why]) => why)
  report({ event: 'done', seed, cases, strange: strange.length, classes: Object.fromEntries(count) })
  const print = text => process.stderr.write(`${text}\n`)
  for (const one of strange.slice(0, 20)) print(`differs (seed ${seed}): ${JSON.stringify(one)}`)
  for (const why of gone) print(`no longer differs (seed ${seed}): ${why}`)
  process.exit(strange.length || gone.length ? 1 : 0)
}

main().catch(error => { process.stderr.write(`seed ${seed}: ${error.stack}\n`); process.exit(1) })
