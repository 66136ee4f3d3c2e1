// Text from outside, made safe to show, and numbers with their units.

/** Control characters, those that change the direction of text, invisible ones, and lone surrogates. */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\u115f\u1160\u3164\uffa0]/gu

const escaped = character => {
  const code = character.codePointAt(0)
  return code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, '0')}`
}

/** A name or a line of text: at most `max` characters, and what cannot be seen as an escape. */
export function visible(text, max = 200) {
  text = String(text)
  const isCut = text.length > max
  const shown = (isCut ? text.slice(0, max) : text).replace(HIDDEN, escaped)
  return isCut ? `${shown}…` : shown
}

/** As `visible`, of several lines. */
export const visibleLines = (text, max) => visible(text, max).replace(/\\u000a/g, '\n')

/** JSON in one line. */
export function compact(value, max = 200) {
  if (value === undefined) return ''
  return visible(typeof value === 'string' && value.length > max ? `"${value.slice(0, max + 1)}` : JSON.stringify(value), max)
}

/** A duration in microseconds. */
export function duration(micros) {
  if (micros === undefined || micros === null) return ''
  if (micros < 1000) return `${Math.round(micros)} µs`
  if (micros < 1e6) return `${significant(micros / 1000)} ms`
  if (micros < 60e6) return `${significant(micros / 1e6)} s`
  if (micros < 3600e6) return `${Math.floor(micros / 60e6)} min ${Math.round((micros % 60e6) / 1e6)} s`
  return `${Math.floor(micros / 3600e6)} h ${Math.round((micros % 3600e6) / 60e6)} min`
}

const significant = number => (number < 10 ? number.toFixed(2) : number < 100 ? number.toFixed(1) : number.toFixed(0))

const grouped = new Intl.NumberFormat('en-US')

/** A count: exact up to 99,999. */
export function count(number = 0) {
  if (number < 1e5) return grouped.format(number)
  return number < 1e6
    ? `${Math.floor(number / 1e3)}k`
    : number < 1e9
      ? `${(number / 1e6).toFixed(1)}M`
      : `${(number / 1e9).toFixed(1)}G`
}

export const exact = number => grouped.format(number)

export const plural = (number, one, many = `${one}s`) => `${exact(number)} ${number === 1 ? one : many}`

/** Calls a second. */
export const rate = number => (number >= 10 ? `${count(Math.round(number))}/s` : number > 0 ? `${number.toFixed(1)}/s` : '0/s')

export const bytes = number =>
  number < 1024
    ? `${number} B`
    : number < 1 << 20
      ? `${(number / 1024).toFixed(1)} KiB`
      : `${(number / (1 << 20)).toFixed(1)} MiB`

/** The wall clock in milliseconds since 1970, to the millisecond. */
export function clock(millis) {
  const date = new Date(millis)
  const part = (number, digits = 2) => String(number).padStart(digits, '0')
  return `${part(date.getHours())}:${part(date.getMinutes())}:${part(date.getSeconds())}.${part(date.getMilliseconds(), 3)}`
}
