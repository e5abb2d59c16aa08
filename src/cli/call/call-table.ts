/** The calls of com.atproto.sync by name: what they take, and how a client makes them. */

import type { ByteStream } from '../../client/calls/byte-stream.ts'
import type { SyncEvent } from '../../client/events/events.ts'
import type { Listing } from '../../client/calls/pages.ts'
import type { SyncClient } from '../../client/calls/sync-client.ts'

/** How a value is written on the command line. `texts` may be repeated. */
export type ParamKind = 'text' | 'integer' | 'texts'

/** Values of a call's parameters, read by their kinds; the client checks them by the lexicon. */
export interface CallParams {
  /** Empty when it was not given, which no lexicon of these calls allows. */
  text(name: string): string
  /** What was given of these, as an object. */
  pick(...names: readonly string[]): Readonly<Record<string, string>>
  number(name: string): number | undefined
  texts(name: string): readonly string[]
}

/** What comes of a call, by its kind. */
export type CallAnswer =
  | { readonly kind: 'json'; readonly value: Promise<unknown> }
  | {
      readonly kind: 'listing'
      readonly page: () => Promise<unknown>
      readonly all: Listing<unknown>
    }
  | { readonly kind: 'bytes'; readonly stream: Promise<ByteStream> }
  | { readonly kind: 'done'; readonly done: Promise<void> }
  | { readonly kind: 'events'; readonly events: AsyncIterable<SyncEvent> }

export interface CallEntry {
  readonly params: Readonly<Record<string, ParamKind>>
  make(client: SyncClient, params: CallParams): CallAnswer
}

const DID = { did: 'text' } as const
const PAGE = { cursor: 'text', limit: 'integer' } as const

const json = (value: Promise<unknown>): CallAnswer => ({ kind: 'json', value })
const bytes = (stream: Promise<ByteStream>): CallAnswer => ({ kind: 'bytes', stream })
const listing = (page: () => Promise<unknown>, all: Listing<unknown>): CallAnswer => ({
  kind: 'listing',
  page,
  all,
})

function pageOf(params: CallParams): { readonly cursor?: string; readonly limit?: number } {
  const limit = params.number('limit')
  return { ...params.pick('cursor'), ...(limit === undefined ? {} : { limit }) }
}

/** By the last part of the NSID. */
export const CALLS: Readonly<Record<string, CallEntry>> = {
  getBlob: {
    params: { ...DID, cid: 'text' },
    make: (client, p) => bytes(client.getBlob({ did: p.text('did'), cid: p.text('cid') })),
  },
  getBlocks: {
    params: { ...DID, cids: 'texts' },
    make: (client, p) => bytes(client.getBlocks({ did: p.text('did'), cids: p.texts('cids') })),
  },
  getCheckout: {
    params: DID,
    make: (client, p) => bytes(client.getCheckout({ did: p.text('did') })),
  },
  getHead: {
    params: DID,
    make: (client, p) => json(client.getHead({ did: p.text('did') })),
  },
  getHostStatus: {
    params: { hostname: 'text' },
    make: (client, p) => json(client.getHostStatus({ hostname: p.text('hostname') })),
  },
  getLatestCommit: {
    params: DID,
    make: (client, p) => json(client.getLatestCommit({ did: p.text('did') })),
  },
  getRecord: {
    params: { ...DID, collection: 'text', rkey: 'text' },
    make: (client, p) => {
      const [did, collection, rkey] = [p.text('did'), p.text('collection'), p.text('rkey')]
      return bytes(client.getRecord({ did, collection, rkey }))
    },
  },
  getRepo: {
    params: { ...DID, since: 'text' },
    make: (client, p) => bytes(client.getRepo({ did: p.text('did'), ...p.pick('since') })),
  },
  getRepoStatus: {
    params: DID,
    make: (client, p) => json(client.getRepoStatus({ did: p.text('did') })),
  },
  listBlobs: {
    params: { ...DID, since: 'text', ...PAGE },
    make: (client, p) => {
      const params = { did: p.text('did'), ...p.pick('since'), ...pageOf(p) }
      return listing(() => client.listBlobsPage(params), client.listBlobs(params))
    },
  },
  listHosts: {
    params: PAGE,
    make: (client, p) =>
      listing(() => client.listHostsPage(pageOf(p)), client.listHosts(pageOf(p))),
  },
  listRepos: {
    params: PAGE,
    make: (client, p) =>
      listing(() => client.listReposPage(pageOf(p)), client.listRepos(pageOf(p))),
  },
  listReposByCollection: {
    params: { collection: 'text', ...PAGE },
    make: (client, p) => {
      const params = { collection: p.text('collection'), ...pageOf(p) }
      return listing(
        () => client.listReposByCollectionPage(params),
        client.listReposByCollection(params),
      )
    },
  },
  notifyOfUpdate: {
    params: { hostname: 'text' },
    make: (client, p) => ({
      kind: 'done',
      done: client.notifyOfUpdate({ hostname: p.text('hostname') }),
    }),
  },
  requestCrawl: {
    params: { hostname: 'text' },
    make: (client, p) => ({
      kind: 'done',
      done: client.requestCrawl({ hostname: p.text('hostname') }),
    }),
  },
  subscribeRepos: {
    params: { cursor: 'integer' },
    make: (client, p) => {
      const cursor = p.number('cursor')
      return {
        kind: 'events',
        events: client.subscribeRepos(cursor === undefined ? {} : { cursor }),
      }
    },
  },
}
