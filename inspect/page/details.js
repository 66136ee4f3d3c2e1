// The pane with everything about one row of the messages.
import { copy, h, icon } from './dom.js'
import { errorText, jsonView } from './json.js'
import { pluginUrl } from './plugins.js'
import { clock, duration, exact, visible } from './text.js'

const TITLES = { call: 'Call', message: 'Message', event: 'Event', link: 'Link', badFrame: 'Unreadable frame' }

const STATES = {
  waiting: 'waits in the queue of its target',
  running: 'runs',
  returned: 'returned a result',
  failed: 'failed',
  dropped: 'given up by its caller',
  unanswered: 'not answered yet',
  sent: 'needs no answer',
  emitted: 'emitted',
}

/** The pane of a row. `actions`: `close()`, `again(row)`, `isReadOnly`. */
export function details(row, store, actions) {
  const name = text => h('a', { class: 'name', href: pluginUrl(text) }, visible(text))
  const fact = (term, ...value) => h('div', {}, h('dt', {}, term), h('dd', {}, ...value))
  const plugin = text => (text === 'engine' && row.kind === 'message' ? 'engine' : name(text))
  const facts = [
    row.kind === 'message'
      ? fact('Direction', plugin(row.from), ' → ', plugin(row.to))
      : row.to
        ? fact('From', plugin(row.from), ' → ', plugin(row.to))
        : fact('Plugin', plugin(row.from)),
    row.key !== undefined &&
      fact(
        row.kind === 'event' || row.action === 'notification' || row.action === 'emit'
          ? 'Event'
          : row.key === 'handshake'
            ? 'Kind'
            : 'Method',
        h('span', { class: 'mono name' }, visible(row.key, 2000)),
      ),
    row.action &&
      fact(
        'Action',
        h('span', { class: 'mono' }, visible(row.action)),
        row.messageId !== undefined ? ` id ${visible(JSON.stringify(row.messageId))}` : '',
      ),
    fact(
      'Outcome',
      h('span', { class: row.isFailed ? 'bad' : undefined }, STATES[row.state] ?? visible(row.text ?? row.state, 2000)),
    ),
    row.waited !== undefined && fact('Waited', duration(row.waited)),
    row.ran !== undefined && fact('Ran', duration(row.ran)),
    row.took !== undefined && fact('Answered after', duration(row.took)),
    row.listeners !== undefined &&
      fact('Received by', `${exact(row.listeners)} ${row.listeners === 1 ? 'subscription' : 'subscriptions'}`),
    fact('At', clock(store.wall(row.at))),
    row.call !== undefined && fact('Number', exact(row.call)),
  ]
  const isCall = row.kind === 'call'
  const isFailure = row.state === 'failed'
  const error = row.kind === 'message' ? row.result?.data?.error : row.result?.data
  return h(
    'section',
    { class: 'details', 'aria-label': 'Details' },
    h(
      'header',
      {},
      h('h2', {}, icon(row.kind), ` ${TITLES[row.kind] ?? 'Record'}`),
      h(
        'button',
        { class: 'plain', onclick: actions.close, 'aria-label': 'Close the details', title: 'Close (Esc)' },
        icon('close'),
      ),
    ),
    h('dl', { class: 'facts' }, facts),
    isFailure && error !== undefined && row.result.cut === undefined && h('p', { class: 'failure' }, errorText(error)),
    h(
      'div',
      { class: 'buttons' },
      h('button', { onclick: event => copy(event.target, JSON.stringify(row.records, null, 2)) }, 'Copy as JSON'),
      isCall &&
        Array.isArray(row.args?.data) &&
        h('button', { onclick: () => actions.again(row) }, actions.isReadOnly ? 'Open the call' : 'Call again…'),
    ),
    row.kind === 'message'
      ? row.records.map(record => part(`${record.direction === 'toPlugin' ? 'To' : 'From'} the plugin`, record))
      : isCall
        ? [
            part('Arguments', row.args),
            isFailure ? typeof error === 'object' && part('Error', row.result) : part('Result', row.result),
          ]
        : part('Arguments', row.args),
    isCall &&
      h(
        'ol',
        { class: 'steps' },
        row.records.map(({ kind, at }) =>
          h(
            'li',
            {},
            h('span', { class: 'mono' }, `+${duration(at - row.at)}`),
            ` ${{ callQueued: 'called', callStarted: 'started', callEnded: 'ended' }[kind] ?? kind}`,
          ),
        ),
      ),
  )
}

function part(title, record) {
  if (!record || (record.data === undefined && record.cut === undefined)) return undefined
  return h('section', {}, h('h3', {}, title), jsonView(record.data, { cut: record.cut, label: title }))
}
