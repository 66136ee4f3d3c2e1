// Runs engines in a page with plugins in frames and workers, in headless Chromium, and compares what the engines report.
const fs = require('fs')
const path = require('path')
const { isDeepStrictEqual } = require('util')
const { flag } = require('../lib/cli')
const { Browser } = require('./browser')
const { BENCH, CASES, ENGINES, PLUGINS, combinations, isFrame, requireBuilt } = require('./peers')
const { SCRIPTS } = require('./server')

const HELP = `node run.js [--engine ENGINE] [--plugin PLUGIN] [--script SCRIPT] [--case CASE] [--record]
node run.js --bench

Without options it runs every combination. Scripts are compared with the lines of the published engine and client, and cases
with the lines that are recorded for each engine. --record records the lines of a run instead. Exits with code 1 if a line differs.
--bench prints the calls per second of each engine and plugin that is built, one and 64 calls at a time: medians of rounds.

  ENGINE  ${Object.keys(ENGINES).join(', ')}
  PLUGIN  ${Object.keys(PLUGINS).join(', ')}
  SCRIPT  ${Object.keys(SCRIPTS).join(', ')}
  CASE    ${Object.keys(CASES).join(', ')}`

const EXPECTED = path.join(__dirname, 'expected')
const parsed = file => fs.readFileSync(file, 'utf8').split('\n').filter(Boolean).map(line => JSON.parse(line))
const write = (file, lines) => fs.writeFileSync(file, lines.map(line => JSON.stringify(line) + '\n').join(''))

/** The profile of a plugin in a frame differs from a worker's, which has no location. */
const scriptFile = ({ plugin, script }) => script === 'script'
  ? path.join(__dirname, '../../../conformance/src/expected.ndjson')
  : path.join(EXPECTED, `${script}-${isFrame(plugin) ? 'frame' : 'worker'}.ndjson`)

const caseFile = ({ engine }) => path.join(EXPECTED, `cases-${engine}.ndjson`)
const isOf = one => line => line.case === one.case && line.plugin === one.plugin

function expected(one) {
  const { differs } = PLUGINS[one.plugin]
  if (one.script) return parsed(scriptFile(one)).map(line => differs && line.step === differs.step ? differs : line)
  const lines = parsed(caseFile(one)).filter(isOf(one))
  if (!lines.length) throw new Error(`no line in ${caseFile(one)}`)
  return lines
}

function record(one, lines) {
  if (one.case) return write(caseFile(one), [...parsed(caseFile(one)).filter(line => !isOf(one)(line)), ...lines])
  const golden = one.engine === 'published' && !PLUGINS[one.plugin].rust && one.script !== 'script'
  if (golden) write(scriptFile(one), lines)
}

function difference(actual, expected) {
  for (let n = 0; n < Math.max(actual.length, expected.length); n++) {
    if (!isDeepStrictEqual(actual[n], expected[n])) return `line ${n + 1}:\n  - ${JSON.stringify(expected[n])}\n  + ${JSON.stringify(actual[n])}`
  }
}

/** Returns the notes of a combination. */
async function run(browser, one) {
  requireBuilt(one)
  const reported = await browser.lines(one)
  const compared = one.script ? reported : reported.filter(line => line.case).map(({ case: name, ...line }) => ({ case: name, plugin: one.plugin, ...line }))
  if (process.argv.includes('--record')) record(one, compared)
  const differs = difference(compared, expected(one))
  if (differs) throw new Error(differs)
  return reported.filter(line => line.note).map(({ note }) => JSON.stringify(note))
}

const ROUNDS = 3

async function bench() {
  const browser = await new Browser().start()
  const isBuilt = one => { try { requireBuilt(one); return true } catch { return false } }
  const combinations = Object.keys(ENGINES).flatMap(engine => BENCH.map(plugin => ({ engine, plugin }))).filter(isBuilt)
  const results = combinations.map(() => [[], []])
  try {
    for (let round = 0; round < ROUNDS; round++) {
      for (const [n, { engine, plugin }] of combinations.entries()) {
        const lines = await browser.bench(engine, plugin)
        lines.filter(line => line.inFlight).forEach(({ callsPerSecond }, column) => results[n][column].push(callsPerSecond))
      }
    }
  } finally {
    await browser.stop()
  }
  const median = list => list.sort((a, b) => a - b)[list.length >> 1].toLocaleString('en-US')
  console.log('| engine | plugin | one call at a time | 64 in flight |\n| --- | --- | --- | --- |')
  combinations.forEach(({ engine, plugin }, n) => console.log(`| ${engine} | ${plugin} | ${results[n].map(median).join(' | ')} |`))
}

async function main() {
  if (process.argv.includes('--help')) return console.log(HELP)
  if (process.argv.includes('--bench')) return bench()
  const wanted = Object.entries({ engine: flag('engine'), plugin: flag('plugin'), script: flag('script'), case: flag('case') }).filter(([, value]) => value)
  const chosen = combinations().filter(one => wanted.every(([name, value]) => one[name] === value))
  if (!chosen.length) throw new Error(`there is no such combination\n\n${HELP}`)
  const browser = await new Browser().start()
  let failures = 0
  try {
    for (const one of chosen) {
      const name = `${one.engine} × ${one.plugin}, ${one.script ?? one.case}`
      const started = performance.now()
      try {
        const notes = await run(browser, one)
        console.log([`ok      ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)`, ...notes].join('\n        '))
      } catch (error) {
        failures++
        console.log(`FAILED  ${name}: ${error.message}`)
      }
    }
  } finally {
    await browser.stop()
  }
  console.log(`${chosen.length - failures} of ${chosen.length} as expected`)
  process.exitCode = failures ? 1 : 0
}

main().catch(error => { console.error(`error: ${error.message}`); process.exitCode = 1 })
