/**
 * @atcute/firehose: `FirehoseSubscription` as an async iterable. It checks every message against
 * the lexicon and reconnects by itself.
 */

import { ComAtprotoSyncSubscribeRepos } from '@atcute/atproto'
import { FirehoseSubscription } from '@atcute/firehose'

import { canonicalText } from './canonical.ts'
import type { ClientTarget, ForeignClient, Sighting } from './client.ts'

/** Bounds of its reconnecting, ms; its defaults are for real networks. */
const RECONNECT_DELAY_MS = { minReconnectionDelay: 100, maxReconnectionDelay: 1_000 }

/** Starts a client that follows the live stream. */
export function startAtcute(target: ClientTarget): ForeignClient {
  const sightings: Sighting[] = []
  const errors: string[] = []
  const closeCodes: number[] = []
  let position = 0
  const subscription = new FirehoseSubscription({
    service: target.service,
    nsid: ComAtprotoSyncSubscribeRepos.mainSchema,
    params: () => (position === 0 ? {} : { cursor: position }),
    ws: RECONNECT_DELAY_MS,
    onError: (error) => {
      errors.push(error instanceof Error ? error.message : String(error))
    },
    onConnectionClose: (event) => {
      closeCodes.push(event.code)
    },
  })
  const messages = subscription[Symbol.asyncIterator]()
  const follow = async (): Promise<void> => {
    for (let next = await messages.next(); next.done !== true; next = await messages.next()) {
      const message = next.value
      if (!('seq' in message)) continue
      const did = 'repo' in message ? message.repo : message.did
      const content = canonicalText({ ...message, seq: undefined })
      sightings.push({ seq: message.seq, did, content })
      position = Math.max(position, message.seq)
    }
  }
  void follow()
  return {
    name: 'atcute',
    sightings,
    errors,
    closeCodes,
    get position() {
      return position
    },
    order: 'arrival',
    delivery: 'once',
    stop: async () => {
      await messages.return?.()
    },
  }
}
