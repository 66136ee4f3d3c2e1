// The probe in a web worker. The published client for workers cannot be installed any more; this is all that it does.
import { createConnectorClient } from '@remixproject/plugin'
import { serveProbe } from '../../lib/probe'

const link = { send: message => postMessage(message), on: listener => addEventListener('message', event => listener(event.data)) }
serveProbe(probe => createConnectorClient(link, probe), console.error)
