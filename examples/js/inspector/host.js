// The program `inspected`.
const { spawn } = require('child_process')
const { createInterface } = require('readline')

const running = new Set()
process.on('exit', () => running.forEach(child => child.kill('SIGKILL')))
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1))

exports.Inspected = class Inspected {
  /** Starts the program, and resolves when its inspector has a URL. */
  static async start(program, args) {
    const host = new Inspected()
    const child = (host.child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] }))
    running.add(child)
    host.ended = new Promise(done => child.on('exit', done)).then(() => running.delete(child))
    host.url = await new Promise((done, fail) => {
      child.on('error', fail).on('exit', code => fail(new Error(`${program} ended with ${code}`)))
      createInterface(child.stdout).on('line', line => done(JSON.parse(line).url))
    })
    return host
  }

  get origin() {
    return new URL(this.url).origin
  }

  get port() {
    return new URL(this.url).port
  }

  get token() {
    return new URL(this.url).searchParams.get('token')
  }

  async stop() {
    this.child.kill('SIGKILL')
    await this.ended
  }
}
