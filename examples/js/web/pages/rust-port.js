// The probe in Rust, behind the port that this worker receives. With `?panics` it has a method that panics.
import init from './rust/web_plugin.js'

onmessage = ({ ports: [port] }) => {
  globalThis.probe = { port, panics: location.search === '?panics' }
  init()
}
