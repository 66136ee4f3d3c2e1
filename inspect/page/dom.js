// Makes elements. Text from outside only ever becomes text nodes.

function make(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value)
    else if (name === 'value') element.value = value
    else element.setAttribute(name, value === true ? '' : value)
  }
  element.append(...children.flat().filter(child => child !== undefined && child !== null && child !== false))
  return element
}

/** An HTML element: attributes by name, listeners as `onclick`. */
export const h = (tag, properties = {}, ...children) => make(document.createElement(tag), properties, children)

/** An SVG element. */
export const svg = (tag, properties = {}, ...children) =>
  make(document.createElementNS('http://www.w3.org/2000/svg', tag), properties, children)

/** One of the symbols of index.html, without a name for screen readers: the text beside it says the same. */
export const icon = name => svg('svg', { class: `icon icon-${name}`, 'aria-hidden': 'true' }, svg('use', { href: `#i-${name}` }))

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text
}

export function setAttribute(element, name, value) {
  if (value === undefined || value === null || value === false) element.removeAttribute(name)
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value)
}

/** Makes the children of a parent those of the items, and keeps elements, with their focus, while their item's key stays. */
export function sync(parent, items, key, create, update = () => {}) {
  const known = (parent.known ??= new Map())
  const next = new Map()
  let position = parent.firstChild
  for (const item of items) {
    const id = key(item)
    if (next.has(id)) continue
    const element = known.get(id) ?? create(item)
    known.delete(id)
    next.set(id, element)
    if (element === position) position = position.nextSibling
    else parent.insertBefore(element, position)
    update(element, item)
  }
  for (const element of known.values()) element.remove()
  parent.known = next
}

/** Copies text, and says so on the button for a moment. */
export async function copy(button, text) {
  const label = (button.dataset.label ??= button.textContent)
  try {
    await navigator.clipboard.writeText(text)
    button.textContent = 'Copied'
  } catch {
    button.textContent = 'The browser does not allow copying'
  }
  setTimeout(() => {
    button.textContent = label
  }, 1500)
}
