// How a page reports: lines of JSON, posted one after the other to the URL `report` of its query.
const url = new URLSearchParams(location.search).get('report')
let posted = Promise.resolve()

export const report = line => { posted = posted.then(() => fetch(url, { method: 'POST', body: line })) }

/** Runs a page. If it fails, its last line says so. */
export const main = run => run().catch(error => report(JSON.stringify({ event: 'failed', error: String(error?.stack ?? error) })))
