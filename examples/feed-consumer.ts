import {
  type Delivery,
  runConsumer,
  type RunConsumerOptions,
  type RunningConsumer,
} from '../src/client/index.ts'
import type { ConsumerStore } from '../src/store/index.ts'
import type { FeedDatabase } from './feed-database.ts'

export const COLLECTION = 'app.bsky.feed.post'

/** What a feed is made of. */
export interface Feed {
  readonly database: FeedDatabase
  /** The consumer's own memory: `await openConsumerStore('consumer.sqlite')`. */
  readonly store: ConsumerStore
  /** Whether posts from before the feed began are wanted: `seen` reads repositories whole. */
  readonly backfill: 'none' | 'seen'
  /** Relays, the preferred one first, and what else the consumer is to be told. */
  readonly options: Partial<RunConsumerOptions>
}

/** Begins where the store says that the last run ended. */
export function startFeed({ database, store, backfill, options }: Feed): RunningConsumer {
  return runConsumer({
    ...options,
    store,
    cursor: 'oldest',
    backfill,
    filter: { collections: [COLLECTION] },
    handler: (delivery) => take(database, delivery),
  })
}

function take(database: FeedDatabase, delivery: Delivery): void {
  switch (delivery.kind) {
    case 'commit':
      database.commit(delivery)
      break
    case 'account':
      database.account(delivery)
      break
    case 'repo-complete':
    case 'sync':
    case 'identity':
    case 'info':
    case 'other':
      break
  }
}
