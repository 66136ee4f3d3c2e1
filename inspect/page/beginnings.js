// Finds the beginnings of rows of which a filter, or a page of the history, has let only the end through.
import { complete, pairOf } from './stream.js'

/** Records of the first request, since most ends follow soon after their beginnings, and of those after it. */
const FIRST_PAGE = 100
const PAGE = 1000
/** Requests for one search: they reach through 10,000 records, the number that the engine keeps by default. */
const MAX_PAGES = 11

/**
 * Looks once for each row, from the newest back. `history(before, limit)` returns a page of records as the request does, ends and
 * beginnings alike.
 */
export async function findBeginnings(rows, history) {
  for (const row of rows) row.isSought = true
  const missing = new Map(rows.map(row => [row.records[0].seq, row]))
  const open = new Map()
  let before = Infinity
  for (let pages = 0; pages < MAX_PAGES && (missing.size || open.size); pages++) {
    // Records between two rows are of no use, unless one of them looks for its beginning.
    if (!open.size) before = Math.min(before, Math.max(...missing.keys()) + 1)
    const { records, more } = await history(before, pages ? PAGE : FIRST_PAGE)
    for (const record of records.toReversed()) {
      const { key, isBeginning, isEnd } = pairOf(record)
      const row = missing.get(record.seq)
      if (row) {
        missing.delete(record.seq)
        open.set(key, row)
      } else if (open.has(key)) {
        // A request before another response with the same id belongs to that one.
        if (record.kind !== 'message' || isBeginning) complete(open.get(key), record)
        if (isBeginning || isEnd) open.delete(key)
      }
    }
    if (!more || !records.length) return
    before = records[0].seq
    // Not kept any more, or no longer of the filter.
    for (const seq of missing.keys()) if (seq >= before) missing.delete(seq)
  }
}
