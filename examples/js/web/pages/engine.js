// The page of a published engine: `engine.html?kind=iframe|webview|worker&url=PLUGIN&script=URL&report=URL`.
import { runScript } from '../../lib/engine'
import { connector, hostPlugins } from './published-plugins'
import { main, report } from './report'

main(async () => {
  const query = new URLSearchParams(location.search)
  const script = await (await fetch(query.get('script'))).json()
  const probe = connector(query.get('kind'), 'probe', query.get('url'))
  await runScript(probe, script, line => report(JSON.stringify(line)), hostPlugins())
})
