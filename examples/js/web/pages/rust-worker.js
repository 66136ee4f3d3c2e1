// The probe in Rust, in a module worker, dedicated or shared. With `?late=MS` its wasm loads that much later; with `?panics`
// it has a method that panics.
// It must not await at the top level: a worker's messages that arrive before its script has run are lost.
import './rust/keep-messages.js'
import init from './rust/web_plugin.js'

const query = new URLSearchParams(location.search)
globalThis.probe = { panics: query.has('panics') }
setTimeout(init, +query.get('late'))
