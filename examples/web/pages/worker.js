// The script of a module worker. It must not await at the top level: messages that arrive before it has run would be lost.
import '/rust/keep-messages.js'
import init from '/rust/page_worker.js'

init()
