/**
 * What the relay shows of itself to those who serve or display it. The HTTP layer depends on this
 * interface only, never on the relay's parts.
 */

/** A host's state as `com.atproto.sync.listHosts` names it. */
export type HostStatus = 'active' | 'idle' | 'offline' | 'throttled' | 'banned'

/** A host as the lexicon com.atproto.sync.defs shows it. */
export interface HostView {
  readonly hostname: string
  /** Last seq received from this host; absent when there is none yet. */
  readonly seq?: number
  readonly accountCount: number
  readonly status: HostStatus
}

/** An account as known to the relay: its state at its host, and what this relay makes of it. */
export interface AccountView {
  readonly did: string
  readonly active: boolean
  /** Why the account is not active (or `throttled`, `desynchronized` while it is). */
  readonly status?: string
  /** Head of the repository, when a commit has been seen. */
  readonly head?: string
  readonly rev?: string
  /** `https://host` of the account's current PDS. */
  readonly pdsEndpoint: string
}

/** A page of a listing. `cursor` is absent on the last page. */
export interface Page<T> {
  readonly items: readonly T[]
  readonly cursor?: string
}

/** What became of a `requestCrawl`, each with a text for the caller. */
export type CrawlOutcome =
  | { readonly kind: 'accepted' }
  | {
      readonly kind: 'invalid-hostname' | 'unreachable' | 'banned' | 'limited' | 'disabled'
      readonly message: string
    }

export interface RelayView {
  /** `hostname` as the caller sent it. Probes describeServer, so it may take seconds. */
  requestCrawl(hostname: string): Promise<CrawlOutcome>
  /**
   * Cursor is opaque; null asks for the first page. `invalid-cursor` when it is not one of ours.
   */
  listHosts(limit: number, cursor: string | null): Page<HostView> | 'invalid-cursor'
  host(hostname: string): HostView | null
  /** Accounts with a known head, in order of first sight. */
  listAccounts(limit: number, cursor: string | null): Page<AccountView> | 'invalid-cursor'
  account(did: string): AccountView | null
  /** The current PDS of a DID that has no account here (resolved, bounded); null when unknown. */
  locate(did: string): Promise<string | null>
  /** Whether the log and the state can be written. */
  health(): { readonly ok: boolean; readonly detail?: string }
}
