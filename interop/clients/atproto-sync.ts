/**
 * @atproto/sync: `Firehose` with a `MemoryRunner`. It verifies the signature of every commit and
 * the proof of every operation, and hands over one event per operation: none for an empty commit.
 */

import { IdResolver } from '@atproto/identity'
import type { Event } from '@atproto/sync'
import { Firehose, MemoryRunner } from '@atproto/sync'

import { withTimeout } from '../net/wait.ts'
import { canonicalText, hashText } from './canonical.ts'
import type { ClientTarget, ForeignClient, Sighting } from './client.ts'

/** Most seconds between its attempts to reconnect; its default of 64 is for real networks. */
const RECONNECT_SECONDS_MAX = 1

/** Starts a client that follows the live stream. */
export function startAtprotoSync(target: ClientTarget): ForeignClient {
  const sightings: Sighting[] = []
  const errors: string[] = []
  const runner = new MemoryRunner({})
  const firehose = new Firehose({
    service: target.service,
    runner,
    // Its own fetch refuses addresses of the loopback.
    idResolver: new IdResolver({ plcUrl: target.plcUrl, fetch: globalThis.fetch }),
    // Handles below .test do not resolve; the handle is not part of the comparison.
    unauthenticatedHandles: true,
    maxReconnectSeconds: RECONNECT_SECONDS_MAX,
    subscriptionReconnectDelay: RECONNECT_SECONDS_MAX * 1_000,
    handleEvent: (event) => {
      sightings.push({ seq: event.seq, did: event.did, content: contentOf(event) })
    },
    onError: (error) => {
      if (error.name !== 'FirehoseSubscriptionError') errors.push(messageOf(error))
    },
  })
  void firehose.start()
  return {
    name: '@atproto/sync',
    sightings,
    errors,
    closeCodes: null,
    get position() {
      return runner.getCursor() ?? 0
    },
    order: 'arrival',
    delivery: 'at-least-once',
    stop: async () => {
      // Its destroy() never resolves when the stream has ended by itself.
      await withTimeout('stop', firehose.destroy(), 1_000).catch(() => undefined)
      await withTimeout('stop', runner.destroy(), 1_000).catch(() => undefined)
    },
  }
}

function contentOf(event: Event): string {
  if (event.event === 'identity') {
    // The document is what the client looked up by itself, not what the stream told it.
    return canonicalText({ ...event, seq: undefined, didDocument: undefined })
  }
  if (event.event === 'account') return canonicalText({ ...event, seq: undefined })
  const blocks = event.blocks
    .entries()
    .map(({ cid, bytes }) => `${cid.toString()} ${hashText(bytes)}`)
    .sort()
  if (event.event === 'sync') {
    return canonicalText({ ...event, seq: undefined, cid: event.cid.toString(), blocks })
  }
  return canonicalText({
    ...event,
    seq: undefined,
    uri: event.uri.toString(),
    commit: event.commit.toString(),
    cid: 'cid' in event ? event.cid.toString() : undefined,
    blocks,
  })
}

function messageOf(error: Error): string {
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : ''
  return error.message + cause
}
