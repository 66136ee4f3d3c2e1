// Checks that the modules of connector-core depend on each other as docs/architecture.md says: a module may use those of the
// lines below its own in the block `text layers`, and, on a line that begins with `circle:`, its neighbours.
'use strict'
const fs = require('fs')
const path = require('path')

const root = path.join(__dirname, '..', 'connector-core', 'src')
const page = fs.readFileSync(path.join(__dirname, '..', 'docs', 'architecture.md'), 'utf8')
const block = page.match(/```text layers\n([\s\S]*?)```/)
if (!block) fail(['docs/architecture.md has no block `text layers`'])
const lines = block[1].trim().split('\n').map(line => line.trim()).reverse()
const layers = lines.map(line => ({ circle: line.startsWith('circle:'), modules: line.replace('circle:', '').trim().split(/\s+/) }))
const layerOf = new Map(layers.flatMap(({ modules }, number) => modules.map(module => [module, number])))

const faults = []
for (const file of sources(root)) {
  const module = path.relative(root, file).split(path.sep)[0].replace(/\.rs$/, '')
  if (module === 'lib') continue
  const own = layerOf.get(module)
  if (own === undefined) {
    faults.push(`docs/architecture.md does not place the module \`${module}\``)
    continue
  }
  const code = fs.readFileSync(file, 'utf8').split(/#\[cfg\(test\)\]\s*mod tests/)[0].replace(/^\s*\/\/.*$/gm, '')
  for (const [, used] of code.matchAll(/\bcrate::\{?([a-z_]+)\b/g)) {
    const other = layerOf.get(used)
    if (used === module || other === undefined) continue
    if (other < own || (other === own && layers[own].circle)) continue
    faults.push(`${path.relative(root, file)} uses \`${used}\`, which docs/architecture.md does not allow to \`${module}\``)
  }
}
if (faults.length > 0) fail([...new Set(faults)])

function sources(folder) {
  return fs.readdirSync(folder, { withFileTypes: true }).flatMap(entry => {
    const whole = path.join(folder, entry.name)
    if (entry.isDirectory()) return sources(whole)
    return entry.name.endsWith('.rs') ? [whole] : []
  })
}

function fail(texts) {
  console.error(texts.join('\n'))
  process.exit(1)
}
