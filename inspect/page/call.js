// The form that calls a method, and the calls made with it.
import { Refused } from './connection.js'
import { copy, h, icon, setAttribute, setText, sync } from './dom.js'
import { errorText, jsonView, parseJson } from './json.js'
import { clock, duration, visible } from './text.js'

/** Calls that are kept, for each plugin. */
const MAX_CALLS = 50

const REASONS = {
  arguments: 'the arguments cannot be sent',
  refused: 'refused by the engine',
  timedOut: 'timed out',
  cancelled: 'cancelled',
  linkLost: 'the link was lost',
  activation: 'the plugin could not be activated',
  readOnly: 'the inspector is read-only',
  request: 'the inspector refused the request',
}

/** Parses arguments: a JSON array, with or without its brackets. */
export function parseArguments(text) {
  const trimmed = text.trim()
  // "[1, 2], 3" are two arguments.
  const isArray = trimmed.startsWith('[') && (isJson(trimmed) || !isJson(`[${trimmed}]`))
  return parseJson(isArray ? trimmed : `[${trimmed}]`)
}

function isJson(text) {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

let calls = 0

export class CallForm {
  #connection
  #store
  #plugin
  /** Calls by plugin, the newest first: they outlive a change of the view. */
  #made = new Map()
  #recalled = -1
  #draft = ''
  #exposed = new Set()

  constructor(connection, store) {
    this.#connection = connection
    this.#store = store
    this.#build()
  }

  /** Shows the form of a plugin. */
  show(plugin) {
    if (this.#plugin === plugin) return
    this.#plugin = plugin
    this.method.value = this.args.value = this.timeout.value = ''
    this.#recalled = -1
    this.#check()
    this.#showCalls()
  }

  /** Whether something was written into it. */
  get isUsed() {
    return Boolean(this.method.value || this.args.value || this.form.contains(document.activeElement))
  }

  /** Fills in a method, and arguments as text. */
  fill(method, args) {
    this.method.value = method
    if (args !== undefined) this.args.value = args
    this.#check()
  }

  focus() {
    ;(this.method.value ? this.args : this.method).focus()
  }

  /** Whether viewers may call. */
  update() {
    const isReadOnly = !this.#store.hello?.calls
    setAttribute(this.fields, 'disabled', isReadOnly)
    setAttribute(this.readOnly, 'hidden', !isReadOnly)
    setText(this.as, `as ${visible(this.#store.hello?.caller ?? 'inspector', 60)}`)
  }

  /** The methods that the form suggests. */
  suggest(methods) {
    this.#exposed = new Set(methods)
    sync(
      this.methods,
      methods.slice(0, 100),
      name => name,
      name => h('option', { value: name }),
    )
  }

  #check() {
    let problem = ''
    try {
      parseArguments(this.args.value)
    } catch (error) {
      problem = `Not JSON: ${visible(error.message)}`
    }
    setText(this.problem, problem)
    setAttribute(this.args, 'aria-invalid', problem ? 'true' : undefined)
    this.args.rows = Math.min(12, Math.max(2, this.args.value.split('\n').length))
    return !problem
  }

  async #call() {
    if (!this.#check()) return this.args.focus()
    const timeout = Number(this.timeout.value)
    const made = {
      id: ++calls,
      plugin: this.#plugin,
      method: this.method.value,
      text: this.args.value,
      at: Date.now(),
      state: 'running',
    }
    const args = parseArguments(made.text)
    const { id, promise } = this.#connection.send('call', { ...this.#target(made.method), args, ...(timeout > 0 && { timeout }) })
    made.cancel = () => this.#connection.request('cancel', { call: id }).catch(() => {})
    const all = this.#made.get(made.plugin) ?? []
    this.#made.set(made.plugin, [made, ...all].slice(0, MAX_CALLS))
    this.#recalled = -1
    this.#showCalls()
    try {
      const { ok, took, cut } = await promise
      Object.assign(made, { state: 'returned', value: ok, took, cut })
    } catch (error) {
      Object.assign(made, {
        state: 'failed',
        reason: REASONS[error.code],
        took: error.took,
        cut: error.cut,
        isText: !(error instanceof Refused) || typeof error.error === 'string',
        value: error instanceof Refused ? error.error : error.message,
      })
    }
    this.#showCalls()
    if (this.#plugin === made.plugin)
      setText(
        this.live,
        `${visible(made.method, 80)} ${made.state}${made.took === undefined ? '' : ` after ${duration(made.took)}`}`,
      )
  }

  /** A method of a service is named after it: `service.method`. */
  #target(method) {
    const dot = method.lastIndexOf('.')
    if (dot <= 0 || this.#exposed.has(method)) return { plugin: this.#plugin, method }
    return { plugin: `${this.#plugin}.${method.slice(0, dot)}`, method: method.slice(dot + 1) }
  }

  #showCalls() {
    const all = this.#made.get(this.#plugin) ?? []
    setAttribute(this.made, 'hidden', !all.length)
    sync(
      this.made.lastChild,
      all,
      ({ id }) => id,
      made => this.#created(made),
      (element, made) => this.#updated(element, made),
    )
  }

  #created(made) {
    const cancel = h('button', { class: 'plain', onclick: () => made.cancel() }, 'Cancel')
    const recall = h(
      'button',
      {
        class: 'plain',
        title: 'Fill in the form with this call',
        onclick: () => {
          this.fill(made.method, made.text)
          this.args.focus()
        },
      },
      'Again',
    )
    const element = h(
      'li',
      { class: 'made' },
      h(
        'div',
        { class: 'made-head' },
        h('span', { class: 'state' }),
        h(
          'code',
          { class: 'name' },
          `${visible(made.method, 80)}(${visible(made.text.trim().replace(/^\[([\s\S]*)\]$/, '$1'), 200)})`,
        ),
        h('span', { class: 'took' }),
        cancel,
        recall,
      ),
      h('div', { class: 'outcome' }),
    )
    element.cancel = cancel
    return element
  }

  #updated(element, made) {
    if (element.state === made.state) return
    element.state = made.state
    element.className = `made is-${made.state}`
    element.cancel.hidden = made.state !== 'running'
    const [head, outcome] = element.children
    head.children[0].replaceChildren(
      icon({ running: 'connecting', returned: 'up', failed: 'down' }[made.state]),
      h('span', { class: 'hidden' }, made.state),
    )
    setText(head.children[2], made.state === 'running' ? `since ${clock(made.at).slice(0, 8)}` : duration(made.took))
    if (made.state === 'running') return
    const copying = h(
      'button',
      {
        class: 'plain copy',
        onclick: event => copy(event.target, made.isText ? made.value : JSON.stringify(made.value, null, 2)),
      },
      'Copy',
    )
    if (made.state === 'returned') outcome.replaceChildren(jsonView(made.value, { cut: made.cut, label: 'Result' }), copying)
    else
      outcome.replaceChildren(
        h('p', { class: 'failure' }, [made.reason, errorText(made.value)].filter(Boolean).join(': ')),
        made.isText ? '' : jsonView(made.value, { label: 'Error' }),
        copying,
      )
  }

  /** The arrow up in the first line recalls earlier arguments, as in a shell. */
  #recall(event) {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault()
      // Checked as by the button: the method and the time limit.
      return this.form.requestSubmit()
    }
    const { value, selectionStart, selectionEnd } = this.args
    const isUp = event.key === 'ArrowUp' && !value.slice(0, selectionStart).includes('\n')
    const isDown = event.key === 'ArrowDown' && !value.slice(selectionEnd).includes('\n')
    const all = this.#made.get(this.#plugin) ?? []
    const next = this.#recalled + (isUp ? 1 : isDown ? -1 : 0)
    if (event.altKey || event.shiftKey || next === this.#recalled || next < -1 || next >= all.length) return
    event.preventDefault()
    if (this.#recalled === -1) this.#draft = { method: this.method.value, text: value }
    this.#recalled = next
    const { method, text } = next === -1 ? this.#draft : all[next]
    this.fill(method, text)
    this.args.setSelectionRange(0, 0)
  }

  #build() {
    this.methods = h('datalist', { id: 'methods' })
    this.method = h('input', {
      id: 'method',
      list: 'methods',
      required: true,
      autocomplete: 'off',
      spellcheck: 'false',
      class: 'mono',
    })
    this.args = h('textarea', {
      id: 'args',
      rows: 2,
      class: 'mono',
      spellcheck: 'false',
      autocomplete: 'off',
      placeholder: '[]',
      'aria-describedby': 'args-hint args-problem',
      oninput: () => this.#check(),
      onkeydown: event => this.#recall(event),
    })
    this.timeout = h('input', {
      id: 'timeout',
      type: 'number',
      min: 1,
      max: 2 ** 31,
      placeholder: 'default',
      class: 'mono',
      // Browsers let signs and exponents in.
      onbeforeinput: event => /\D/.test(event.data ?? '') && event.preventDefault(),
    })
    this.problem = h('p', { id: 'args-problem', class: 'problem' })
    this.readOnly = h(
      'p',
      { class: 'explain', hidden: true },
      h('strong', {}, 'Read-only. '),
      'The host program lets viewers look, not call. It allows calls with ',
      h('code', {}, 'ServeOptions::default().allow_calls(true)'),
      '; the command ',
      h('code', {}, 'connector open'),
      ' allows them.',
    )
    this.live = h('p', { class: 'hidden', role: 'status' })
    this.as = h('span', { class: 'quiet' })
    this.fields = h(
      'fieldset',
      {},
      h('div', { class: 'field' }, h('label', { for: 'method' }, 'Method'), this.method, this.methods),
      h(
        'div',
        { class: 'field' },
        h('label', { for: 'args' }, 'Arguments'),
        this.args,
        h('p', { id: 'args-hint', class: 'quiet' }, 'A JSON array, such as [1, "two"]. ↑ recalls earlier calls.'),
        this.problem,
      ),
      h('div', { class: 'field inline' }, h('label', { for: 'timeout' }, 'Time limit (ms)'), this.timeout),
      h('div', { class: 'buttons' }, h('button', { class: 'primary', type: 'submit' }, 'Call'), h('kbd', {}, 'Ctrl ↵'), this.as),
    )
    this.form = h(
      'form',
      {
        onsubmit: event => {
          event.preventDefault()
          this.#call()
        },
      },
      this.fields,
    )
    this.made = h('section', { hidden: true }, h('h3', {}, 'Calls from here'), h('ol', { class: 'calls' }))
    this.element = h(
      'section',
      { class: 'call', 'aria-label': 'Call a method' },
      h('h2', {}, 'Call'),
      this.readOnly,
      this.form,
      this.live,
      this.made,
    )
  }
}
