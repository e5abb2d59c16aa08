/** The calls of com.atproto.sync, typed and checked, one method for each. */
import { mainSchema as getBlob } from '@atcute/atproto/types/sync/getBlob'
import { mainSchema as getBlocks } from '@atcute/atproto/types/sync/getBlocks'
import { mainSchema as getCheckout } from '@atcute/atproto/types/sync/getCheckout'
import { mainSchema as getHead } from '@atcute/atproto/types/sync/getHead'
import { mainSchema as getHostStatus } from '@atcute/atproto/types/sync/getHostStatus'
import { mainSchema as getLatestCommit } from '@atcute/atproto/types/sync/getLatestCommit'
import { mainSchema as getRecord } from '@atcute/atproto/types/sync/getRecord'
import { mainSchema as getRepo } from '@atcute/atproto/types/sync/getRepo'
import { mainSchema as getRepoStatus } from '@atcute/atproto/types/sync/getRepoStatus'
import { mainSchema as listBlobs } from '@atcute/atproto/types/sync/listBlobs'
import { mainSchema as listHosts } from '@atcute/atproto/types/sync/listHosts'
import { mainSchema as listRepos } from '@atcute/atproto/types/sync/listRepos'
import { mainSchema as listReposByCollection } from '@atcute/atproto/types/sync/listReposByCollection'
import { mainSchema as notifyOfUpdate } from '@atcute/atproto/types/sync/notifyOfUpdate'
import { mainSchema as requestCrawl } from '@atcute/atproto/types/sync/requestCrawl'

import { cidFromString } from '../../data/cid.ts'
import { createTransport } from '../../stream/runtime-transport.ts'
import type { CidString } from '../../syntax/cid-string.ts'
import { CarEndCheck, HashCheck } from './body-checks.ts'
import type { ByteStream } from './byte-stream.ts'
import { CallError } from './call-error.ts'
import type { CallOptions, ClientLimits, SyncClientOptions } from './client-options.ts'
import type { SyncEvent } from '../events/events.ts'
import { eachPage, Listing, type Page } from './pages.ts'
import { QueryRunner } from './query-runner.ts'
import { SUBSCRIBE_REPOS_NSID, subscribeOnce } from './subscribe-once.ts'
import type * as sync from './sync-types.ts'
import { VerifiedClient } from './verified-client.ts'

/**
 * Calls one service: a repository host, a relay or a mirror. Holds no sockets of its own; make as
 * many as there are services.
 *
 * Methods reject with a CallError, and so do the iterations of what they give. Parameters are
 * checked before they are sent and answers before they are given out, both against the lexicons.
 * What fails for a reason that passes is tried again with pauses, and services are not asked more
 * than they bear; see the options `retry` and `governor`.
 *
 * ```ts
 * const client = new SyncClient('https://relay.example')
 * for await (const { did, rev } of client.listRepos()) console.log(did, rev)
 * ```
 *
 * What answers say is not verified here but for the CID of blobs: see {@link SyncClient.verified}.
 */
export class SyncClient {
  /** Origin of the service: `https://relay.example`. */
  readonly service: string
  /** The calls whose answers carry proof, with the proof checked. */
  readonly verified: VerifiedClient
  readonly #run: QueryRunner
  readonly #limits: ClientLimits
  readonly #options: SyncClientOptions

  /**
   * @param service `relay.example`, `https://relay.example`, `wss://relay.example`,
   *   `localhost:2470`; see `parseService`.
   * @throws SkeinError OPTION_INVALID when it is none of these.
   */
  constructor(service: string | URL, options: SyncClientOptions = {}) {
    this.#run = new QueryRunner(service, options)
    this.#limits = this.#run.limits
    this.#options = options
    this.service = this.#run.service.origin
    this.verified = new VerifiedClient(this.#run, options)
  }

  /**
   * A blob of an account. Its bytes are hashed as they pass: an iteration that ends without an
   * error has given what the CID names, and one that throws Unverified has not.
   */
  async getBlob(params: sync.GetBlobParams, options: CallOptions = {}): Promise<ByteStream> {
    const target = this.#run.target(getBlob.nsid)
    const cid = cidFromString(params.cid)
    if (cid === null) throw new CallError('InvalidRequest', target, 'cid is of no kind that hashes')
    return this.#run.stream(getBlob, params, {
      ...options,
      bytesMax: this.#limits.blobBytesMax,
      check: () => new HashCheck(target, cid),
    })
  }

  /** Blocks of a repository by CID, as a CAR. BlockNotFound when one of them is not there. */
  getBlocks(params: sync.GetBlocksParams, options: CallOptions = {}): Promise<ByteStream> {
    return this.#car(getBlocks, params, options, this.#limits.repoBytesMax)
  }

  /** A whole repository as a CAR, by the name it once had; use {@link SyncClient.getRepo}. */
  getCheckout(params: sync.DidParams, options: CallOptions = {}): Promise<ByteStream> {
    return this.#car(getCheckout, params, options, this.#limits.repoBytesMax)
  }

  /** The CID of a repository's commit; {@link SyncClient.getLatestCommit} says more. */
  getHead(params: sync.DidParams, options: CallOptions = {}): Promise<sync.Head> {
    return this.#run.json<sync.Head>(getHead, params, options)
  }

  /** What a relay makes of one host. */
  getHostStatus(params: sync.HostnameParams, options: CallOptions = {}): Promise<sync.ListedHost> {
    return this.#run.json<sync.ListedHost>(getHostStatus, params, options)
  }

  /** The commit that a repository is at, as the service says. */
  getLatestCommit(params: sync.DidParams, options: CallOptions = {}): Promise<sync.LatestCommit> {
    return this.#run.json<sync.LatestCommit>(getLatestCommit, params, options)
  }

  /** What proves that a record is there or not, as a CAR; `verified.getRecord` checks it. */
  getRecord(params: sync.GetRecordParams, options: CallOptions = {}): Promise<ByteStream> {
    return this.#car(getRecord, params, options, this.#limits.proofBytesMax)
  }

  /**
   * A repository as a CAR, or with `since` what has changed after a rev. A CAR that is cut within a
   * block ends with Truncated; one that is cut between two only `verified.getRepo` finds out.
   */
  getRepo(params: sync.GetRepoParams, options: CallOptions = {}): Promise<ByteStream> {
    return this.#car(getRepo, params, options, this.#limits.repoBytesMax)
  }

  /** Whether an account is active at the service, and at which rev. */
  getRepoStatus(params: sync.DidParams, options: CallOptions = {}): Promise<sync.RepoStatus> {
    return this.#run.json<sync.RepoStatus>(getRepoStatus, params, options)
  }

  /** The CIDs of the blobs of an account, or of those that came after a rev. */
  listBlobs(params: sync.ListBlobsParams, options: CallOptions = {}): Listing<CidString> {
    return this.#listing(listBlobs.nsid, params, async (given) => {
      const { cids, cursor } = await this.listBlobsPage(given, options)
      return { items: cids, cursor }
    })
  }

  listBlobsPage(params: sync.ListBlobsParams, options: CallOptions = {}): Promise<sync.BlobsPage> {
    return this.#run.json<sync.BlobsPage>(listBlobs, params, options)
  }

  /** The hosts that a relay reads. */
  listHosts(params: sync.PageParams = {}, options: CallOptions = {}): Listing<sync.ListedHost> {
    return this.#listing(listHosts.nsid, params, async (given) => {
      const { hosts, cursor } = await this.listHostsPage(given, options)
      return { items: hosts, cursor }
    })
  }

  listHostsPage(params: sync.PageParams = {}, options: CallOptions = {}): Promise<sync.HostsPage> {
    return this.#run.json<sync.HostsPage>(listHosts, params, options)
  }

  /** The repositories that the service has; one that changes meanwhile may come twice. */
  listRepos(params: sync.PageParams = {}, options: CallOptions = {}): Listing<sync.ListedRepo> {
    return this.#listing(listRepos.nsid, params, async (given) => {
      const { repos, cursor } = await this.listReposPage(given, options)
      return { items: repos, cursor }
    })
  }

  listReposPage(params: sync.PageParams = {}, options: CallOptions = {}): Promise<sync.ReposPage> {
    return this.#run.json<sync.ReposPage>(listRepos, params, options)
  }

  /** The accounts that have records in a collection. */
  listReposByCollection(
    params: sync.ListReposByCollectionParams,
    options: CallOptions = {},
  ): Listing<sync.ListedDid> {
    return this.#listing(listReposByCollection.nsid, params, async (given) => {
      const { repos, cursor } = await this.listReposByCollectionPage(given, options)
      return { items: repos, cursor }
    })
  }

  listReposByCollectionPage(
    params: sync.ListReposByCollectionParams,
    options: CallOptions = {},
  ): Promise<sync.DidsPage> {
    return this.#run.json<sync.DidsPage>(listReposByCollection, params, options)
  }

  /** Tells a relay that a host has news; retired in favour of {@link SyncClient.requestCrawl}. */
  notifyOfUpdate(input: sync.HostnameParams, options: CallOptions = {}): Promise<void> {
    return this.#run.procedure(notifyOfUpdate, input, options)
  }

  /** Asks a relay to read a host. HostBanned when it will not. */
  requestCrawl(input: sync.HostnameParams, options: CallOptions = {}): Promise<void> {
    return this.#run.procedure(requestCrawl, input, options)
  }

  /**
   * The stream of events over one connection, from the live end or after a cursor. It ends when the
   * service closes it, and is not taken up again: see `subscribe` for a stream that is.
   *
   * Throws a CallError for an error frame (FutureCursor, ConsumerTooSlow), for a frame that cannot
   * be read, and for a connection that breaks. Nothing is verified. Leaving the loop ends the
   * connection; a reader that is slow holds the service back.
   */
  subscribeRepos(
    params: sync.SubscribeReposParams = {},
    options: CallOptions = {},
  ): AsyncIterable<SyncEvent> {
    const { transport = createTransport(this.#run.clock) } = this.#options
    const target = this.#run.target(SUBSCRIBE_REPOS_NSID)
    return subscribeOnce({
      transport,
      clock: this.#run.clock,
      target,
      endpoint: this.#run.service.webSocketOrigin,
      cursor: params.cursor,
      signals: [this.#run.signal, options.signal],
    })
  }

  #car(
    query: Parameters<QueryRunner['stream']>[0],
    params: object,
    options: CallOptions,
    bytesMax: number,
  ): Promise<ByteStream> {
    const check = (): CarEndCheck => new CarEndCheck(this.#run.target(query.nsid))
    return this.#run.stream(query, params, { ...options, bytesMax, check })
  }

  #listing<T, P extends sync.PageParams>(
    nsid: string,
    params: P,
    fetchPage: (params: P) => Promise<Page<T>>,
  ): Listing<T> {
    const from = (cursor: string | undefined): Promise<Page<T>> =>
      fetchPage(cursor === undefined ? params : { ...params, cursor })
    const target = this.#run.target(nsid)
    return new Listing(() => eachPage(target, this.#limits, params.cursor, from))
  }
}
