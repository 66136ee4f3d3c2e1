// Serves the pages, on one port at three origins: 127.0.0.1 (engines and
// workers), localhost (frames of another site) and third.localhost (attackers).
const fs = require('fs')
const http = require('http')
const path = require('path')
const { buildSync } = require('esbuild')

const root = path.join(__dirname, '../../..')
const BUNDLES = path.join(root, 'target/web/js')
const PAGES = path.join(__dirname, 'pages')
/** Bundles that have a page. */
const WITH_PAGE = ['engine', 'iframe', 'published-bench', 'published-cases', 'rogue', 'themed', 'webview']
const RUST = exports.RUST = path.join(root, 'target/web/rust')
const SCRIPTS = exports.SCRIPTS = { script: 'conformance/src/script.json', more: 'examples/tests/more.json' }

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.json': 'application/json', '.wasm': 'application/wasm' }

const file = pathname => {
  const name = path.posix.normalize(pathname).slice(1)
  const [script] = Object.keys(SCRIPTS).filter(script => name === `${script}.json`)
  if (script) return path.join(root, SCRIPTS[script])
  if (name.startsWith('rust/')) return path.join(RUST, name.slice(5))
  return [BUNDLES, PAGES].map(folder => path.join(folder, name)).find(fs.existsSync)
}

const page = name => `<!doctype html>\n<meta charset="utf-8">\n<link rel="icon" href="data:,">\n<body><script src="${name}.js"></script></body>\n`

/** Bundles the published peers and serves all pages. `onReport(case, line)` receives what pages report. Resolves to the server. */
exports.serve = onReport => {
  buildSync({ entryPoints: [...WITH_PAGE, 'port', 'worker'].map(name => path.join(PAGES, `${name}.js`)), bundle: true, outdir: BUNDLES, logLevel: 'warning' })
  WITH_PAGE.forEach(name => fs.writeFileSync(path.join(BUNDLES, `${name}.html`), page(name)))
  const server = http.createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url, 'http://localhost')
    if (request.method === 'POST' && pathname === '/report') {
      let line = ''
      request.setEncoding('utf8').on('data', text => { line += text }).on('end', () => { onReport(searchParams.get('case'), line); response.end() })
      return
    }
    const found = file(pathname)
    if (!found || !fs.existsSync(found)) return response.writeHead(404).end()
    response.setHeader('content-type', TYPES[path.extname(found)] ?? 'text/plain')
    response.setHeader('cache-control', 'no-store')
    // For frames with an opaque origin, whose modules are of another origin.
    response.setHeader('access-control-allow-origin', '*')
    fs.createReadStream(found).pipe(response)
  })
  return new Promise((done, fail) => server.on('error', fail).listen(0, '127.0.0.1', () => done(server)))
}
