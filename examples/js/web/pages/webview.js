// The probe as a published webview client.
import { createClient } from '@remixproject/plugin-webview'
import { serveProbe } from '../../lib/probe'

serveProbe(createClient, console.error)
