// Code shared by every program here: flags, lines on stdout, and an engine's script.
const fs = require('fs')
const path = require('path')
const { runScript } = require('./engine')

const report = exports.report = line => process.stdout.write(JSON.stringify(line) + '\n')
const flag = exports.flag = (name, otherwise) => {
  const i = process.argv.indexOf(`--${name}`)
  return i < 0 ? otherwise : process.argv[i + 1]
}
const script = exports.script = () =>
  JSON.parse(fs.readFileSync(flag('script', path.join(__dirname, '../../../conformance/src/script.json'))))

/** The body of an engine's program: runs the script over its connector and exits. */
exports.drive = async function (probe) {
  record(probe, flag('transcript'))
  await runScript(probe, script(), report)
  process.exit(0)
}

/** Write every message that crosses the connector to FILE, in order: {"from":"engine"|"plugin","message":{...}}. */
function record(probe, file) {
  if (!file) return
  const write = (from, message) => fs.appendFileSync(file, JSON.stringify({ from, message }) + '\n')
  fs.writeFileSync(file, '')
  const { send, getMessage } = probe
  probe.send = message => { write('engine', message); return send.call(probe, message) }
  probe.getMessage = message => { write('plugin', message); return getMessage.call(probe, message) }
}
