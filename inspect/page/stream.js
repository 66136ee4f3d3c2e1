// Records become rows: one for each call, for each request with its response, for each event, link state and unreadable frame.

/** Rows that are kept. */
export const MAX_ROWS = 5000
/** Characters of a payload that a search looks through. */
const SEARCHED = 2000
/** Rows that are dropped at once. */
const SLICE = 500

const isPartial = row => (row.kind === 'call' || row.kind === 'message') && !row.args && !row.isSought

const OPPOSITE = { toPlugin: 'fromPlugin', fromPlugin: 'toPlugin' }

export class Stream {
  rows = []
  firstSeq = undefined
  lastSeq = 0
  /** Rows before are of another engine. */
  hasRestarted = false
  #calls = new Map()
  #requests = new Map()
  #responses = new Map()
  #ids = 0

  /** Adds records after all others. Returns the number of rows dropped at the beginning. */
  append(records) {
    for (const record of records) {
      if (record.seq <= this.lastSeq) continue
      this.lastSeq = record.seq
      this.firstSeq ??= record.seq
      const row = this.#place(record)
      if (row) this.rows.push(row)
    }
    if (this.rows.length <= MAX_ROWS + SLICE) return 0
    const dropped = this.rows.splice(0, this.rows.length - MAX_ROWS)
    for (const row of dropped) this.#forget(row)
    this.firstSeq = this.rows[0].records[0]?.seq ?? this.firstSeq
    return dropped.length
  }

  /** Adds records before all others, with ascending numbers. Returns the number of new rows. */
  prepend(records) {
    const rows = []
    for (const record of records) {
      if (this.firstSeq !== undefined && record.seq >= this.firstSeq) continue
      const row = this.#place(record)
      if (row) rows.push(row)
    }
    if (records.length) this.firstSeq = Math.min(this.firstSeq ?? Infinity, records[0].seq)
    this.rows.unshift(...rows)
    return rows.length
  }

  /** Rows whose beginning is not known, and was not looked for. */
  get partial() {
    return this.rows.filter(isPartial)
  }

  /** A line between rows, such as for a lost connection. */
  note(text) {
    this.rows.push({ id: ++this.#ids, kind: 'note', text, records: [] })
  }

  /** The engine has started again: its numbers begin again. */
  restart() {
    this.lastSeq = 0
    this.hasRestarted = true
    for (const known of [this.#calls, this.#requests, this.#responses]) known.clear()
    for (const row of this.rows) row.isSought = true
  }

  /** The new row of a record, unless it belongs to another. */
  #place(record) {
    switch (record.kind) {
      case 'callQueued':
      case 'callStarted':
      case 'callEnded':
        return this.#pair(this.#calls, record.call, record, ofCall)
      case 'message': {
        const { key, isBeginning, isEnd } = pairOf(record)
        if (isBeginning) return this.#exchange(record, key, this.#responses, this.#requests)
        if (isEnd) return this.#exchange(record, key, this.#requests, this.#responses)
        return this.#row(record, ofMessage)
      }
      case 'event':
        return this.#row(record, ofEvent)
      case 'link':
        return this.#row(record, ofLink)
      default:
        return this.#row(record, ofBadFrame)
    }
  }

  #pair(known, key, record, show) {
    const row = known.get(key)
    if (!row) {
      const created = this.#row(record, show)
      known.set(key, created)
      return created
    }
    insert(row, record)
    show(row)
  }

  /** A request and its response have the same id; an id is used again once it was answered. */
  #exchange(record, key, others, own) {
    const row = others.get(key)
    const isInOrder = row && (headOf(record).action === 'response') === record.seq > row.records[0].seq
    if (isInOrder) {
      others.delete(key)
      insert(row, record)
      ofMessage(row)
      return undefined
    }
    const created = this.#row(record, ofMessage)
    created.pair = key
    own.set(key, created)
    return created
  }

  #row(record, show) {
    const row = { id: ++this.#ids, records: [record] }
    show(row)
    return row
  }

  #forget(row) {
    const call = row.records[0]?.call
    if (this.#calls.get(call) === row) this.#calls.delete(call)
    for (const known of [this.#requests, this.#responses]) if (known.get(row.pair) === row) known.delete(row.pair)
  }
}

/** Adds a record to a row by its number, once. */
function insert(row, record) {
  if (row.records.some(({ seq }) => seq === record.seq)) return
  row.records.push(record)
  row.records.sort((a, b) => a.seq - b.seq)
  row.haystack = row.preview = row.clock = undefined
}

/** Adds an earlier record to the row of its call or response. */
export function complete(row, record) {
  insert(row, record)
  if (row.kind === 'call') ofCall(row)
  else ofMessage(row)
}

/** What the records of one call, or a request and its response, have in common, and which of them a record is. */
export function pairOf({ kind, call, plugin, direction, data }) {
  if (kind !== 'message') return { key: `call ${call}`, isBeginning: kind === 'callQueued', isEnd: false }
  const { action, id } = headOf({ data })
  const isEnd = action === 'response'
  return { key: exchangeKey(plugin, isEnd ? OPPOSITE[direction] : direction, id), isBeginning: action === 'request', isEnd }
}

const exchangeKey = (plugin, direction, id) => JSON.stringify([plugin, direction, id])

function ofCall(row) {
  const part = kind => row.records.find(record => record.kind === kind)
  const [queued, started, ended] = ['callQueued', 'callStarted', 'callEnded'].map(part)
  const { from, to, key, call, at } = row.records[0]
  const state = ended?.outcome ?? (started ? 'running' : 'waiting')
  Object.assign(row, {
    kind: 'call',
    at,
    from,
    to,
    key,
    call,
    state,
    isFailed: state === 'failed' || state === 'dropped',
    waited: (ended ?? started)?.waited,
    ran: ended?.ran,
    args: queued,
    result: ended,
  })
}

function ofMessage(row) {
  const request = row.records.find(record => headOf(record).action !== 'response')
  const response = row.records.find(record => headOf(record).action === 'response')
  const { plugin, direction, at } = row.records[0]
  const head = headOf(request ?? response)
  const sender = request ? direction : OPPOSITE[direction]
  const error = response && headOf(response).error
  Object.assign(row, {
    kind: 'message',
    at,
    plugin,
    action: head.action,
    key: head.key,
    name: head.name,
    messageId: head.id,
    isFailed: Boolean(error),
    from: sender === 'toPlugin' ? 'engine' : plugin,
    to: sender === 'toPlugin' ? plugin : 'engine',
    state: response ? (error ? 'failed' : 'returned') : head.action === 'request' ? 'unanswered' : 'sent',
    took: request && response ? response.at - request.at : undefined,
    args: request,
    result: response,
  })
}

function ofEvent(row) {
  const [record] = row.records
  Object.assign(row, {
    kind: 'event',
    at: record.at,
    from: record.from,
    key: record.key,
    listeners: record.listeners,
    args: record,
    state: 'emitted',
  })
}

function ofLink(row) {
  const [{ at, plugin, text }] = row.records
  Object.assign(row, {
    kind: 'link',
    at,
    plugin,
    from: plugin,
    text,
    isFailed: text.startsWith('down'),
    state: text.split(' ')[0],
  })
}

function ofBadFrame(row) {
  const [{ at, plugin, text, kind }] = row.records
  Object.assign(row, { kind, at, plugin, from: plugin, text, isFailed: true, state: 'unreadable' })
}

/** The members of a message besides its payload; of a message that was cut, as far as its beginning has them. */
export function headOf({ data }) {
  if (data && typeof data === 'object') return data
  const [text] = (typeof data === 'string' ? data : '').split('"payload":')
  const member = name => {
    const found = text.match(new RegExp(`"${name}":("(?:[^"\\\\]|\\\\.)*"|-?[0-9.eE+-]+|true|false|null)`))
    try {
      return found ? JSON.parse(found[1]) : undefined
    } catch {
      return undefined
    }
  }
  return {
    action: member('action'),
    id: member('id'),
    name: member('name'),
    key: member('key'),
    error: member('error') ?? (text.includes('"error":') ? '…' : undefined),
  }
}

/** The text of a row that a search looks through: names, and the beginning of each payload. */
export function haystack(row) {
  return (row.haystack ??= [
    row.from,
    row.to,
    row.key,
    row.plugin,
    row.text,
    row.state,
    ...row.records.map(({ data }) => (data === undefined ? '' : JSON.stringify(data).slice(0, SEARCHED))),
  ]
    .join('\n')
    .toLowerCase())
}
