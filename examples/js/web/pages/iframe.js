// The probe as a published iframe client; with `?customTheme` it does not call the plugin `theme`.
import { createClient } from '@remixproject/plugin-iframe'
import { serveProbe } from '../../lib/probe'

serveProbe(probe => {
  probe.options.customTheme = new URLSearchParams(location.search).has('customTheme')
  return createClient(probe)
}, console.error)
