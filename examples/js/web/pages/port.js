// The probe as a published client behind the port that this worker receives.
import { createConnectorClient } from '@remixproject/plugin'
import { serveProbe } from '../../lib/probe'

onmessage = ({ ports: [port] }) => {
  const link = { send: message => port.postMessage(message), on: listener => { port.onmessage = event => listener(event.data) } }
  serveProbe(probe => createConnectorClient(link, probe), console.error)
}
