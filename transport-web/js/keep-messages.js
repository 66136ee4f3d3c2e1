// Keeps the messages that arrive before the plugin's WebAssembly has loaded: the engine sends its handshake as soon as the
// page has loaded or the worker has started. Include it before any other script:
//
//     <script src="keep-messages.js"></script>     in an iframe's page
//     import './keep-messages.js'                  first in a module worker
//     importScripts('keep-messages.js')            first in a classic worker
(() => {
  const most = 1024
  const kept = []
  const inFrame = typeof window !== 'undefined'
  const keep = (event) => {
    if (kept.length < most && (!inFrame || event.source === window.parent)) kept.push(event)
  }
  const kinds = ['message', 'connect']
  for (const kind of kinds) globalThis.addEventListener(kind, keep)
  // Called once by the plugin's program, which then listens itself.
  globalThis.takeKeptMessages = () => {
    for (const kind of kinds) globalThis.removeEventListener(kind, keep)
    delete globalThis.takeKeptMessages
    return kept
  }
})()
