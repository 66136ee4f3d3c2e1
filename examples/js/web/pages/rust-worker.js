// The probe in Rust, in a module worker. With `?late=MS` its wasm loads that much later.
// It must not await at the top level: a worker's messages that arrive before its script has run are lost.
import './rust/keep-messages.js'
import init from './rust/web_plugin.js'

setTimeout(init, +new URLSearchParams(location.search).get('late'))
