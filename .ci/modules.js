// Checks that the modules of connector-core depend on each other as the table of layers in docs/architecture.md states: only
// on modules in the same or an earlier row, and without a cycle, except in the row that the page names.
'use strict'
const fs = require('fs')
const path = require('path')

const root = path.join(__dirname, '..', 'connector-core', 'src')
const page = fs.readFileSync(path.join(__dirname, '..', 'docs', 'architecture.md'), 'utf8')
const layerOf = new Map()
for (const [, layer, modules] of page.matchAll(/^\| (\d+) \| ((?:`[a-z_]+`(?:, )?)+) \|/gm)) {
  for (const [, module] of modules.matchAll(/`([a-z_]+)`/g)) layerOf.set(module, Number(layer))
}
const cyclic = Number(page.match(/^Layer (\d+) is the only cycle/m)?.[1])

const faults = new Set()
const uses = new Map()
for (const file of sources(root)) {
  const module = path.relative(root, file).split(path.sep)[0].replace(/\.rs$/, '')
  if (module === 'lib') continue
  if (!layerOf.has(module)) faults.add(`docs/architecture.md does not place the module \`${module}\` in a layer`)
  const code = fs.readFileSync(file, 'utf8').split(/#\[cfg\((?:all\()?test\b.*\)\]\s*mod tests/)[0].replace(/^\s*\/\/.*$/gm, '')
  for (const [, used] of code.matchAll(/\bcrate::\{?([a-z_]+)\b/g)) {
    if (used === module || !layerOf.has(used)) continue
    if (layerOf.get(used) > layerOf.get(module)) {
      faults.add(`${path.relative(root, file)} uses \`${used}\`, which is in a later layer than \`${module}\``)
    }
    if (!uses.has(module)) uses.set(module, new Set())
    uses.get(module).add(used)
  }
}
for (const module of uses.keys()) {
  if (layerOf.get(module) !== cyclic && reaches(module, module)) faults.add(`\`${module}\` depends on itself, through others`)
}
if (layerOf.size === 0) faults.add('docs/architecture.md has no table of layers')
if (faults.size > 0) {
  console.error([...faults].join('\n'))
  process.exit(1)
}

function reaches(from, to, seen = new Set()) {
  for (const used of uses.get(from) ?? []) {
    if (used === to) return true
    if (seen.has(used)) continue
    seen.add(used)
    if (reaches(used, to, seen)) return true
  }
  return false
}

function sources(folder) {
  return fs.readdirSync(folder, { withFileTypes: true }).flatMap(entry => {
    const whole = path.join(folder, entry.name)
    if (entry.isDirectory()) return sources(whole)
    return entry.name.endsWith('.rs') ? [whole] : []
  })
}
