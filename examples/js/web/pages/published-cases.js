// The page of a case with a published engine: `published-cases.html?case=NAME&kind=KIND&url=PLUGIN&frames=ORIGIN&report=URL`.
import { runCase } from './cases'
import { publishedEngine } from './published-engine'
import { main, report } from './report'

main(async () => runCase(await publishedEngine(), new URLSearchParams(location.search), report))
