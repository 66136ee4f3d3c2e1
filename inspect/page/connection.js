// The websocket to the inspector: connects, again and again if it must, and pairs requests with their responses.

import { parseJson } from './json.js'

/** Delays between attempts, in milliseconds. */
const FIRST_DELAY = 500
const MAX_DELAY = 10_000
/** The time limit for a websocket to open. */
const OPEN_TIMEOUT = 8_000

/** A response with an error. */
export class Refused extends Error {
  constructor({ error, code, took, cut }) {
    super(typeof error === 'string' ? error : JSON.stringify(error))
    Object.assign(this, { error, code, took, cut })
  }
}

/** Events: `status`, whose detail is the status; and one for each type of message from the server. */
export class Connection extends EventTarget {
  #socket
  #pending = new Map()
  #listens = new Map()
  #ids = 0
  #delay = FIRST_DELAY
  #timer

  /** `state`: connecting, live, or lost. If lost: `why` (unreachable, token, refused), `text`, and `retry`, the time of the next attempt. */
  status = { state: 'connecting' }

  connect() {
    clearTimeout(this.#timer)
    this.#show(this.status.state === 'lost' ? { ...this.status, retry: undefined } : { state: 'connecting' })
    const url = new URL('ws', location.href)
    url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:'
    url.search = location.search
    url.hash = ''
    const socket = (this.#socket = new WebSocket(url))
    const opening = setTimeout(() => socket.close(), OPEN_TIMEOUT)
    socket.onopen = () => clearTimeout(opening)
    socket.onmessage = ({ data }) => this.#receive(parseJson(data))
    socket.onclose = () => {
      clearTimeout(opening)
      if (socket === this.#socket) this.#lost()
    }
  }

  /** Sends a request with a new `id`. `promise` resolves to the response; it rejects with `Refused`, or with another error if the
      connection is lost. */
  send(type, members = {}) {
    const id = ++this.#ids
    const promise = new Promise((resolve, reject) => {
      if (this.status.state !== 'live') return reject(new Error('not connected to the inspector'))
      this.#pending.set(id, { resolve, reject })
      this.#socket.send(JSON.stringify({ type, id, ...members }))
    })
    return { id, promise }
  }

  /** As `send`, and resolves to the member `ok` of the response. */
  request(type, members) {
    return this.send(type, members).promise.then(({ ok }) => ok)
  }

  /** Listens to an event. The handlers are called until `ended`; returns a function that ends it. */
  listen(plugin, event, handlers) {
    const { id, promise } = this.send('listen', { plugin, event })
    this.#listens.set(id, handlers)
    promise.catch(error => this.#listens.delete(id) && handlers.ended(error))
    return () => {
      if (this.#listens.delete(id)) this.send('unlisten', { listen: id }).promise.catch(() => {})
    }
  }

  #receive(message) {
    switch (message.type) {
      case 'hello':
        this.#delay = FIRST_DELAY
        this.#show({ state: 'live' })
        break
      case 'result': {
        const pending = this.#pending.get(message.id)
        this.#pending.delete(message.id)
        if ('error' in message) pending?.reject(new Refused(message))
        else pending?.resolve(message)
        return
      }
      case 'event':
        return this.#listens.get(message.listen)?.event(message)
      case 'missed':
        return this.#listens.get(message.listen)?.missed(message.count)
      case 'ended': {
        const handlers = this.#listens.get(message.listen)
        this.#listens.delete(message.listen)
        return handlers?.ended()
      }
    }
    this.dispatchEvent(new CustomEvent(message.type, { detail: message }))
  }

  async #lost() {
    if (this.status.state === 'live') this.#show({ state: 'lost', why: 'unreachable' })
    const error = new Error('the connection to the inspector was lost')
    for (const { reject } of this.#pending.values()) reject(error)
    for (const { ended } of this.#listens.values()) ended(error)
    this.#pending.clear()
    this.#listens.clear()
    const reason = await why()
    const delay = this.#delay * (0.75 + Math.random() / 2)
    this.#delay = Math.min(this.#delay * 2, MAX_DELAY)
    this.#timer = setTimeout(() => this.connect(), delay)
    this.#show({ state: 'lost', ...reason, retry: Date.now() + delay })
  }

  #show(status) {
    this.status = status
    this.dispatchEvent(new CustomEvent('status', { detail: status }))
  }
}

/** A browser does not tell why a websocket fails; the page's own address does. */
async function why() {
  try {
    const response = await fetch(location.pathname + location.search, { signal: AbortSignal.timeout(OPEN_TIMEOUT) })
    if (response.status === 403) return { why: 'token', text: await response.text() }
    return { why: 'refused', text: response.ok ? '' : await response.text() }
  } catch {
    return { why: 'unreachable' }
  }
}
