/** Callbacks and handlers of the application that do not keep to what they should. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { runConsumer } from './run-consumer.ts'
import { caughtUp, ConsumerKit } from '../testing/consumer-kit.ts'
import { create } from '../testing/consumer-writes.ts'

function complain(): never {
  throw new Error('the screen is full')
}

describe('callbacks that throw', () => {
  for (const callbacks of [{ onState: complain }, { onNotice: complain, onState: complain }]) {
    it(`stop the consumer, which says so: ${Object.keys(callbacks).join(', ')}`, async () => {
      const consumer = runConsumer({
        service: 'http://127.0.0.1:1',
        handler: () => undefined,
        ...callbacks,
      })
      await assert.rejects(consumer.finished, /the screen is full/)
      await consumer.stop()
      assert.equal(consumer.state.phase, 'stopped')
      assert.match(consumer.state.failure?.message ?? '', /the screen is full/)
    })
  }
})

it('a handler may give a thenable that is no promise', async () => {
  await using kit = await ConsumerKit.start()
  const repo = kit.account('thenable')
  let handled = 0
  await using consumer = runConsumer({
    ...(await kit.options()),
    service: kit.stream.endpoint,
    handler: () => {
      handled++
      // oxlint-disable-next-line unicorn/no-thenable -- as query builders have
      return { then: (done: () => void) => queueMicrotask(done) } as unknown as Promise<void>
    },
  })
  await caughtUp(consumer, kit.commit(repo, [create('a')]))
  assert.equal(handled, 1)
})
