// Headless Chromium, driven through its pipe.
const fs = require('fs')
const path = require('path')
const puppeteer = require('puppeteer-core')

const chromium = exports.chromium = () => {
  if (process.env.CHROMIUM) return process.env.CHROMIUM
  const places = process.env.PATH.split(path.delimiter)
  const found = ['chromium', 'chromium-browser', 'google-chrome'].flatMap(name => places.map(place => path.join(place, name))).find(fs.existsSync)
  if (!found) throw new Error('found no chromium, chromium-browser or google-chrome on the PATH, and CHROMIUM is not set')
  return found
}

/** Puppeteer's flags that let pages in the background run as those in the foreground do. */
const UNTHROTTLED = ['--disable-background-timer-throttling', '--disable-backgrounding-occluded-windows', '--disable-renderer-backgrounding']

/** Starts a browser with a new profile directory, which is deleted when it closes. */
exports.launch = ({ throttlesBackground = false } = {}) => puppeteer.launch({
  executablePath: chromium(),
  pipe: true, // the browser exits when its pipe breaks, so that killing this process does not leave it behind
  ignoreDefaultArgs: throttlesBackground ? UNTHROTTLED : [],
  args: ['--disable-gpu', '--disable-quic', ...process.getuid?.() === 0 ? ['--no-sandbox'] : []],
})

/** Closes a browser. One that does not close is killed when this process ends. */
exports.close = browser => Promise.race([browser.close(), new Promise(done => setTimeout(done, 5000))])
