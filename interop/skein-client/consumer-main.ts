/**
 * Entry point of a process that runs Skein's `runConsumer` on one service until it is killed. What
 * it delivers goes into a file before it counts as finished; its state is in SQLite.
 */

import { appendFileSync } from 'node:fs'

import { runConsumer } from '../../src/client/consumer/run-consumer.ts'
import { openConsumerStore } from '../../src/store/consumer-store.ts'
import { sleep } from '../net/wait.ts'
import { openIdentities } from './caller.ts'
import { consumedOf, remarkOf } from './consumed.ts'
import { filesIn } from './consumer-files.ts'

/** Often enough for steps to see how far it is, ms. */
const SAVE_INTERVAL_MS = 20
/** Longest pause before it connects again, ms; its default of a minute is for real networks. */
const RECONNECT_MS_MAX = 1_000
/** What the handler takes, ms: so long that a kill meets some at work. */
const HANDLER_MS = 2

const [service = '', plcUrl = '', directory = ''] = process.argv.slice(2)
const files = filesIn(directory)
const store = await openConsumerStore(files.store)
const consumer = runConsumer({
  service,
  cursor: 'oldest',
  store,
  identities: openIdentities(plcUrl),
  allowPrivateNetwork: true,
  policies: { reconnectMaxMs: RECONNECT_MS_MAX },
  limits: { saveMs: SAVE_INTERVAL_MS },
  onNotice: (notice) => {
    appendFileSync(files.remarks, `${JSON.stringify(remarkOf(notice))}\n`)
  },
  async handler(delivery) {
    await sleep(HANDLER_MS)
    appendFileSync(files.consumed, `${JSON.stringify(consumedOf(delivery))}\n`)
  },
})

let told = -1
const timer = setInterval(() => {
  const position = consumer.stats.saved?.seq ?? 0
  if (position !== told) process.send?.(position)
  told = position
}, SAVE_INTERVAL_MS)

process.once('disconnect', () => process.exit(0))
process.once('SIGTERM', () => {
  void consumer.stop()
})
await consumer.finished
clearInterval(timer)
store.close()
process.exit(0)
