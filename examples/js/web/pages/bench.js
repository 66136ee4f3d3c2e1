// Calls of an engine in this page to a probe: `published-bench.html?kind=KIND&url=PLUGIN&report=URL`. Reports one line for each
// number of calls in flight.

/** Calls to warm up with, and measured calls. */
const WARM_UP = 500
const CALLS = 5000

export async function bench(engine, query, report) {
  const [kind, url] = [query.get('kind'), query.get('url')]
  for (const inFlight of [1, 64]) {
    await engine.run_bench(kind, url, WARM_UP, inFlight)
    const seconds = await engine.run_bench(kind, url, CALLS, inFlight)
    report(JSON.stringify({ inFlight, callsPerSecond: Math.round(CALLS / seconds) }))
  }
  report(JSON.stringify({ event: 'done' }))
}
