// The known differences between native and published ends, with their reasons. Each class removes one difference and nothing else:
// `level` gets the envelope ({ end, kind, text, members }, the members only if it is JSON) and the responses of both ends
// ({ published, ours }), and returns whether it has changed anything.

const isOdd = name => typeof name !== 'string' || !name.isWellFormed()
const fails = text => new RegExp(text)
const hasError = message => message?.error !== undefined
const mentions = (message, words) => typeof message.error === 'string' && message.error.includes(words)

/** Visits the messages of both ends in pairs. */
const each = level => (one, pair) =>
  pair.published.length === pair.ours.length && pair.published.map((theirs, n) => level(one, theirs, pair.ours[n])).some(Boolean)

/** Removes messages from one end's list. */
const without = (end, isOut) => (one, pair) => {
  const kept = pair[end].filter(message => !isOut(one, message))
  const changed = kept.length < pair[end].length
  pair[end] = kept
  return changed
}

const unread = message => message.action === 'response' && fails('^(Error from IDE : )?it cannot be read: ').test(message.error)
/** JavaScript's errors about unusable values. */
const TYPE_ERROR = fails('is not a function|is not iterable|Cannot read prop|^Spread syntax|requires ...iterable')
const take = (ours, theirs) => { delete ours.error; delete ours.payload; Object.assign(ours, theirs); return true }

module.exports = [
  {
    why: 'If the id of a request or response that is not JSON is readable, its sender or the waiting caller gets an error at once; the published ends ignore it.',
    level: (one, pair) => {
      if (one.members !== undefined) return false
      const [ours] = pair.ours
      if (pair.ours.length !== 1 || !unread(ours)) return false
      if (one.kind !== 'response') return without('ours', (_, message) => unread(message))(one, pair)
      return pair.published[0].payload === 'the right one' && take(ours, pair.published[0])
    },
  },
  {
    why: 'An envelope with an id and an unknown action is answered with an error at once; the published ends ignore it.',
    level: (one, pair) => one.members !== undefined && 'action' in one.members && 'id' in one.members && pair.published.length === 0 &&
      without('ours', (_, message) => unread(message) && mentions(message, 'unknown action'))(one, pair),
  },
  {
    why: 'A response echoes the id, the name and the key; the published engine echoes every member of the request.',
    level: each((one, theirs, ours) => {
      const more = Object.keys(theirs).filter(name => !['action', 'id', 'name', 'key', 'payload', 'error'].includes(name) && !(name in ours))
      if (one.end !== 'engine' || theirs.action !== 'response' || !more.length) return false
      more.forEach(name => delete theirs[name])
      return true
    }),
  },
  {
    why: 'A failed call with the old action `call` is answered with a response; the published plugin answers with the action `call`, which does not end the call.',
    level: each((one, theirs, ours) => {
      if (one.end !== 'plugin' || theirs.action !== 'call' || ours.action !== 'response' || !hasError(theirs)) return false
      theirs.action = 'response'
      return true
    }),
  },
  {
    why: 'An absent result is sent as `null`; JavaScript omits `undefined`.',
    level: each((_, theirs, ours) => {
      if (ours.payload !== null || 'payload' in theirs || hasError(theirs)) return false
      delete ours.payload
      return true
    }),
  },
  {
    why: 'A request without a payload has no arguments; the published ends cannot spread `undefined`.',
    level: each(({ members }, theirs, ours) => members && !('payload' in members) && TYPE_ERROR.test(theirs.error) && !hasError(ours) && take(ours, theirs)),
  },
  {
    why: 'A string is not a list of arguments; JavaScript spreads its characters.',
    level: each(({ members }, theirs, ours) => typeof members?.payload === 'string' && hasError(ours) && theirs.action === 'response' && take(ours, theirs)),
  },
  {
    why: 'An unusable value is refused with an error of this project; the published ends send the error that JavaScript throws.',
    level: each((_, theirs, ours) => hasError(ours) && TYPE_ERROR.test(theirs.error) && theirs.error !== ours.error && take(ours, theirs)),
  },
  {
    why: 'A plugin names itself in errors; the published one uses the name under which it was called.',
    level: each(({ end }, theirs, ours) => end === 'plugin' && theirs.name !== 'probe' && mentions(theirs, "doesn't exist on plugin") &&
      theirs.error.replace(/ on plugin .*/s, '') === ours.error?.replace?.(' on plugin probe', '') && take(ours, theirs)),
  },
  {
    why: 'A name that is not a Unicode string appears in errors as its JSON, and is refused before the plugin and its methods are looked up.',
    level: each(({ members }, theirs, ours) => {
      const path = members?.requestInfo?.path
      const odd = isOdd(members?.name) || isOdd(members?.key) || (path && isOdd(path))
      const same = ['is not exposed', 'is not registered', "doesn't exist on plugin"].some(words => mentions(theirs, words) && mentions(ours, words)) || (mentions(theirs, 'is not registered') && mentions(ours, 'is not exposed'))
      return odd && same && theirs.error !== ours.error && take(ours, theirs)
    }),
  },
  {
    why: 'An array that holds one name is not a name; JavaScript accepts it as a property name.',
    level: each(({ end, members }, theirs, ours) => end === 'plugin' && Array.isArray(members?.key) && mentions(ours, "doesn't exist") && take(ours, theirs)),
  },
  {
    why: 'An event is never answered; the published plugin answers an event that it cannot process with an event that has an error.',
    level: without('published', (one, message) => one.end === 'plugin' && ['emit', 'notification'].includes(message.action) && hasError(message)),
  },
  {
    why: 'An event whose name is not a Unicode string is dropped; the published engine delivers it to listeners of exactly that name.',
    level: without('published', (one, message) => one.end === 'engine' && message.action === 'notification' && (isOdd(message.name) || isOdd(message.key))),
  },
  {
    why: 'A response ends the call with its id; the published plugin also requires the name and key of the call.',
    level: each(({ end, kind, members }, theirs, ours) => end === 'plugin' && kind === 'response' && `${members?.name} ${members?.key}` !== 'x y' &&
      theirs.payload === 'the right one' && ours.payload !== theirs.payload && take(ours, theirs)),
  },
  {
    why: 'A caller sees the message or the JSON of an error that is not a string; a published plugin turns it into `[object Object]`, and a published engine keeps only its message.',
    level: each(({ kind, members }, theirs, ours) => kind === 'response' && members?.error && (typeof members.error === 'object' || isOdd(members.error)) &&
      hasError(theirs) && hasError(ours) && take(ours, theirs)),
  },
]
