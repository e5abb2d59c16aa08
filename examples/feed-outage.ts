import {
  type ConsumerNotice,
  type ConsumerState,
  isCallError,
  markMissed,
  noteHeld,
  type RunningConsumer,
  SyncClient,
} from '../src/client/index.ts'
import { COLLECTION, type Feed, startFeed } from './feed-consumer.ts'

/** After these, events are gone that nobody will send again. */
const LOST: ReadonlySet<ConsumerNotice['kind']> = new Set([
  'outdated-cursor',
  'future-cursor',
  'sequence-restarted',
  'gap',
])

/** Runs a feed until the signal aborts, and finds what it missed whenever events were lost. */
export async function keepFeed(
  feed: Feed,
  relay: SyncClient,
  signal: AbortSignal,
  onStart: (consumer: RunningConsumer) => void = () => {},
): Promise<void> {
  const { database, store, backfill } = feed
  if (database.wasKilled) await noteKept(feed)
  database.noteStart()
  const isNew = (await store.cursors()).length === 0
  if (isNew && backfill === 'seen') database.noteLoss()
  while (!signal.aborted) {
    const { promise: caughtUp, resolve } = Promise.withResolvers<'caught up'>()
    const onNotice = ({ kind }: ConsumerNotice): void => {
      // Written down before anything later is read: the process may die at any moment.
      if (LOST.has(kind)) database.noteLoss()
    }
    const onState = ({ phase }: ConsumerState): void => {
      // What is still to be had comes first, so that the cursor is good when this one stops.
      if (phase === 'live' && database.isLost) resolve('caught up')
    }
    const options = { ...feed.options, signal, onNotice, onState }
    const consumer = startFeed({ ...feed, options })
    onStart(consumer)
    // `finished` rejects when the consumer cannot go on: let the process end, and be started again.
    if ((await Promise.race([caughtUp, consumer.finished])) === undefined) break
    await consumer.stop()
    await findMissed(feed, relay)
    database.forgetLoss()
  }
  database.noteEnd()
}

/** What the database got just before a kill may be unknown to the consumer's store. */
async function noteKept({ database, store }: Feed): Promise<void> {
  for (const did of database.dids()) {
    const kept = [...database.kept(did)]
    const held = kept.map(([rkey, cid]) => ({ path: `${COLLECTION}/${rkey}`, cid }))
    await noteHeld(store, did, held)
  }
}

/** Marks what has changed without being seen; the consumer that starts next fetches it. */
async function findMissed({ database, store, backfill }: Feed, relay: SyncClient): Promise<void> {
  const gone = new Set(database.dids())
  await markMissed({
    client: relay,
    store,
    unknown: backfill === 'seen' ? 'fetch' : 'skip',
    onListed({ did, active = true, status = null }) {
      gone.delete(did)
      database.account({ did, active, status })
    },
  })
  for (const did of gone) {
    try {
      const { active, status = null } = await relay.getRepoStatus({ did })
      database.account({ did, active, status })
    } catch (error) {
      if (!isCallError(error, 'RepoNotFound')) throw error
      database.remove(did)
    }
  }
}
