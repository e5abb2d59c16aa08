/** `node examples/feed-main.ts --folder ./feed --service relay.example` */
import { createServer } from 'node:http'
import { parseArgs } from 'node:util'

import { createIdentities, type RunningConsumer, SyncClient } from '../src/client/index.ts'
import { openConsumerStore } from '../src/store/index.ts'
import { FeedDatabase } from './feed-database.ts'
import { keepFeed } from './feed-outage.ts'

const { values } = parseArgs({
  options: {
    folder: { type: 'string', default: '.' },
    service: { type: 'string', multiple: true, default: ['relay1.us-east.bsky.network'] },
    backfill: { type: 'boolean', default: false },
    port: { type: 'string', default: '8080' },
    plc: { type: 'string', default: 'https://plc.directory' },
    'allow-private-network': { type: 'boolean', default: false },
  },
})
const allowPrivateNetwork = values['allow-private-network']
const identities = createIdentities({ plcDirectories: [values.plc], allowPrivateNetwork })
const database = new FeedDatabase(`${values.folder}/feed.sqlite`)
using store = await openConsumerStore(`${values.folder}/consumer.sqlite`)
const stop = new AbortController()
process.once('SIGTERM', () => stop.abort())
process.once('SIGINT', () => stop.abort())

/** For a probe and for Prometheus: see docs/client/deployment.md. */
let consumer: RunningConsumer | null = null
const server = createServer((_, response) => {
  const { phase = 'starting', source = null } = consumer?.state ?? {}
  response.statusCode = phase === 'live' || phase === 'replaying' ? 200 : 503
  response.end(JSON.stringify({ phase, lagMs: source?.lagMs, stats: consumer?.stats }))
})
server.listen(Number(values.port), '127.0.0.1')

const options = { services: values.service, identities, allowPrivateNetwork }
const relay = new SyncClient(values.service[0] ?? '', { allowPrivateNetwork })
const backfill = values.backfill ? 'seen' : 'none'
await keepFeed({ database, store, backfill, options }, relay, stop.signal, (started) => {
  consumer = started
})
server.close()
await identities.close()
database.close()
