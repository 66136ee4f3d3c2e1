import { bench } from './bench'
import { publishedEngine } from './published-engine'
import { main, report } from './report'

main(async () => bench(await publishedEngine(), new URLSearchParams(location.search), report))
