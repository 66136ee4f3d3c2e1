// Calls of an engine in this page to probes: `published-bench.html?plugins=JSON&report=URL`, where `plugins` is a list of
// `{plugin, kind, url}`. Reports one line per plugin and number of calls in flight.

/** Calls to warm up with, and measured calls. */
const WARM_UP = 500
const CALLS = 5000

export async function bench(engine, query, report) {
  for (const { plugin, kind, url } of JSON.parse(query.get('plugins'))) {
    for (const inFlight of [1, 64]) {
      await engine.run_bench(kind, url, WARM_UP, inFlight)
      const seconds = await engine.run_bench(kind, url, CALLS, inFlight)
      report(JSON.stringify({ plugin, inFlight, callsPerSecond: Math.round(CALLS / seconds) }))
    }
  }
  report(JSON.stringify({ event: 'done' }))
}
