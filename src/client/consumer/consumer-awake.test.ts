import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'

const RUN_CONSUMER = new URL('./run-consumer.ts', import.meta.url).href

/** Nobody listens on port 1: between two attempts there is neither socket nor counted timer. */
const SCRIPT = `
  import { runConsumer } from ${JSON.stringify(RUN_CONSUMER)}
  const consumer = runConsumer({
    service: 'http://127.0.0.1:1',
    handler: () => undefined,
    onState: ({ source }) => {
      if (source === null || source.attempt < 2 || source.phase === 'stopped') return
      console.log('tried again')
      void consumer.stop()
    },
  })
`

test('a process whose consumer waits to reconnect goes on, and ends when it is stopped', async () => {
  const args = ['--input-type=module', '--eval', SCRIPT]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  assert.match(stdout, /^tried again/)
})
