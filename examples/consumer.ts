import { runConsumer } from '../src/client/index.ts'
import { openConsumerStore } from '../src/store/index.ts'

const consumer = runConsumer({
  service: 'https://relay1.us-east.bsky.network',
  store: await openConsumerStore('consumer.sqlite'),
  filter: { collections: ['app.bsky.feed.post'] },
  handler(delivery) {
    if (delivery.kind !== 'commit') return
    for (const { action, rkey } of delivery.ops) process.stdout.write(`${action} ${rkey}\n`)
  },
})
await consumer.finished
