// Two charts, drawn by uPlot: calls a second, and a histogram of durations.
import { h } from './dom.js'
import { count, duration } from './text.js'

/** Bars for each doubling of the duration. */
const PER_DOUBLING = 4

const token = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim()
const dark = matchMedia('(prefers-color-scheme: dark)')

/** Keeps a chart as wide as its element, and in the colours of the theme. */
class Chart {
  #plot
  #data

  constructor(label, height, options) {
    this.element = h('div', { class: 'chart', role: 'img', 'aria-label': label })
    this.height = height
    this.options = options
    new ResizeObserver(() => this.#size()).observe(this.element)
    dark.addEventListener('change', () => this.#draw())
  }

  show(data) {
    this.#data = data
    if (this.#plot) this.#plot.setData(data)
    else this.#draw()
  }

  #draw() {
    this.#plot?.destroy()
    this.#plot = undefined
    const width = this.element.clientWidth
    if (!this.#data || !width) return
    this.#plot = new globalThis.uPlot(
      { width, height: this.height, legend: { show: false }, cursor: { show: false }, ...this.options() },
      this.#data,
      this.element,
    )
  }

  #size() {
    const width = this.element.clientWidth
    if (!width) return
    if (this.#plot) this.#plot.setSize({ width, height: this.height })
    else this.#draw()
  }
}

const axis = (more = {}) => ({
  stroke: token('--muted'),
  font: `11px ${token('--sans')}`,
  grid: { stroke: token('--line'), width: 1 },
  ticks: { show: false },
  ...more,
})

/** Calls and failures a second over the last minutes. */
export class RateChart extends Chart {
  constructor() {
    super('Calls a second over the last five minutes', 72, () => ({
      padding: [6, 0, 4, 0],
      scales: {
        x: { time: false, range: (_, min, max) => [Math.min(min, max - 60), max] },
        y: { range: (_, min, max) => [0, Math.max(1, max * 1.15)] },
      },
      axes: [
        { show: false },
        axis({
          size: 36,
          values: (_, values) => values.map(value => count(value)),
          splits: (_, __, min, max) => [0, Math.max(1, Math.round(max / 1.15))],
        }),
      ],
      series: [
        {},
        { stroke: token('--accent'), width: 1.5, fill: token('--accent-faint'), points: { show: false } },
        { stroke: token('--bad'), width: 1.5, points: { show: false } },
      ],
    }))
  }

  update(history) {
    this.show([history.map(({ at }) => at / 1e6), history.map(({ rate }) => rate), history.map(({ errors }) => errors)])
  }
}

/** How many calls took how long. */
export class LatencyChart extends Chart {
  #marks = []

  constructor() {
    super('Durations of calls', 150, () => ({
      padding: [16, 12, 0, 0],
      scales: {
        x: { time: false, range: (_, min, max) => [min - 1, max + 1] },
        y: { range: (_, min, max) => [0, Math.max(1, max * 1.1)] },
      },
      axes: [
        axis({
          size: 26,
          space: 64,
          incrs: [PER_DOUBLING, 2 * PER_DOUBLING, 4 * PER_DOUBLING, 8 * PER_DOUBLING],
          values: (_, values) => values.map(value => duration(2 ** (value / PER_DOUBLING))),
        }),
        axis({
          size: 44,
          incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 1e5, 1e6, 1e7, 1e8],
          values: (_, values) => values.map(value => count(value)),
        }),
      ],
      series: [
        {},
        {
          stroke: token('--accent'),
          fill: token('--accent-soft'),
          width: 1,
          points: { show: false },
          paths: globalThis.uPlot.paths.bars({ size: [0.8, 40], align: 1 }),
        },
      ],
      hooks: { draw: [plot => this.#draw(plot)] },
    }))
  }

  /** A method's statistics: `latency` has pairs of an upper bound and a count. */
  update({ latency, p50, p99 }) {
    const bars = new Map()
    for (const [upper, calls] of latency) {
      const bar = Math.floor(Math.log2(Math.max(1, upper)) * PER_DOUBLING)
      bars.set(bar, (bars.get(bar) ?? 0) + calls)
    }
    const places = [...bars.keys()]
    const [first, last] = [Math.min(...places), Math.max(...places)]
    const all = Array.from({ length: last - first + 1 }, (_, index) => first + index)
    this.#marks = [
      ['median', p50],
      ['99 %', p99],
    ]
    this.element.setAttribute('aria-label', `Durations of calls: median ${duration(p50)}, 99th percentile ${duration(p99)}`)
    this.show([all, all.map(bar => bars.get(bar) ?? 0)])
  }

  #draw({ ctx, bbox, valToPos }) {
    ctx.save()
    ctx.fillStyle = ctx.strokeStyle = token('--text')
    ctx.font = `${11 * devicePixelRatio}px ${token('--sans')}`
    // The axes leave theirs.
    ctx.textAlign = 'left'
    let free = bbox.left
    for (const [name, micros] of this.#marks) {
      if (!micros) continue
      const x = Math.min(Math.max(valToPos(Math.log2(micros) * PER_DOUBLING, 'x', true), bbox.left), bbox.left + bbox.width)
      ctx.globalAlpha = 0.6
      ctx.setLineDash([3, 3])
      ctx.beginPath()
      ctx.moveTo(x, bbox.top)
      ctx.lineTo(x, bbox.top + bbox.height)
      ctx.stroke()
      ctx.globalAlpha = 1
      const text = `${name} ${duration(micros)}`
      const { width } = ctx.measureText(text)
      const left = Math.min(Math.max(x - width / 2, free), bbox.left + bbox.width - width)
      if (left >= free) ctx.fillText(text, left, bbox.top - 5 * devicePixelRatio)
      free = left + width + 10 * devicePixelRatio
    }
    ctx.restore()
  }
}
