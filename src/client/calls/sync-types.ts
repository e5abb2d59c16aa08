/**
 * Parameters and results of the calls, as the lexicons of com.atproto.sync have them. What goes in
 * is text and is checked before it is sent; what comes out has been checked and is branded.
 */
import type { CidString } from '../../syntax/cid-string.ts'
import type { Did } from '../../syntax/did.ts'
import type { Tid } from '../../syntax/tid.ts'

/** Text that a set of values is known of, and that may be another. */
type OneOf<Known extends string> = Known | (string & {})

/** Why an account is not active. */
export type AccountStatus = OneOf<
  'deactivated' | 'deleted' | 'desynchronized' | 'suspended' | 'takendown' | 'throttled'
>
/** What a relay makes of a host. */
export type HostStatus = OneOf<'active' | 'banned' | 'idle' | 'offline' | 'throttled'>

export interface DidParams {
  readonly did: string
}
export interface GetBlobParams extends DidParams {
  readonly cid: string
}
export interface GetBlocksParams extends DidParams {
  /** At least one. */
  readonly cids: readonly string[]
}
export interface GetRecordParams extends DidParams {
  readonly collection: string
  readonly rkey: string
}
export interface GetRepoParams extends DidParams {
  /** Only what has changed after this rev; the answer then proves nothing by itself. */
  readonly since?: string
}
export interface HostnameParams {
  /** A name, not a URL. */
  readonly hostname: string
}
/** Of a listing: where it begins, and how much one page holds. */
export interface PageParams {
  readonly cursor?: string
  readonly limit?: number
}
export interface ListBlobsParams extends PageParams, DidParams {
  readonly since?: string
}
export interface ListReposByCollectionParams extends PageParams {
  readonly collection: string
}

export interface Head {
  readonly root: CidString
}
export interface LatestCommit {
  readonly cid: CidString
  readonly rev: Tid
}
export interface RepoStatus {
  readonly did: Did
  readonly active: boolean
  readonly status?: AccountStatus
  readonly rev?: Tid
}
/** A host as a relay knows it. */
export interface ListedHost {
  readonly hostname: string
  readonly seq?: number
  readonly accountCount?: number
  readonly status?: HostStatus
}
/** A repository as a listing has it. */
export interface ListedRepo {
  readonly did: Did
  readonly head: CidString
  readonly rev: Tid
  readonly active?: boolean
  readonly status?: AccountStatus
}
export interface ListedDid {
  readonly did: Did
}

export interface BlobsPage {
  readonly cids: readonly CidString[]
  readonly cursor?: string
}
export interface HostsPage {
  readonly hosts: readonly ListedHost[]
  readonly cursor?: string
}
export interface ReposPage {
  readonly repos: readonly ListedRepo[]
  readonly cursor?: string
}
export interface DidsPage {
  readonly repos: readonly ListedDid[]
  readonly cursor?: string
}

/** Of a stream: the seq after which it begins; without one it begins with what comes next. */
export interface SubscribeReposParams {
  readonly cursor?: number
}
