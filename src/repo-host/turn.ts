/** What a job works with while it is its turn: state within one transaction, and a way to speak. */
import type { EventKind } from '../log/log-types.ts'
import type { BlobRows } from '../store/blob-rows.ts'
import type { BlockRows } from '../store/block-rows.ts'
import type { HostedAccountRow, RepoStore } from '../store/repo-store.ts'
import type { SigningKeys } from './signing-keys.ts'
import type { TreeCache } from './tree-cache.ts'

/** The parts of a host's state. One connection is behind all of them. */
export interface HostState {
  readonly store: RepoStore
  readonly blocks: BlockRows
  readonly blobs: BlobRows
  readonly trees: TreeCache
  readonly keys: SigningKeys
}

/** A turn of a job. Everything in it is synchronous; nothing of it may be kept. */
export interface Turn extends HostState {
  /** Now, ms since the epoch; the same for all jobs of a transaction. */
  readonly nowMs: number
  /** `nowMs` as events carry it, RFC 3339. */
  readonly time: string
  /** A rev of now, or one microsecond after `previous`: always greater. */
  nextRev(previous: string | null): string
  /** Adds an event behind all before it; returns its seq. */
  emit(kind: EventKind, did: string, frame: (seq: number) => Uint8Array): number
  /** Has `effect` called when everything of this turn is published. It must not throw. */
  afterPublish(effect: () => void): void
}

/** Changes an account's row. */
export function saveAccount(
  { store }: Turn,
  account: HostedAccountRow,
  change: Partial<Omit<HostedAccountRow, 'id' | 'did' | 'createdAtMs'>>,
): HostedAccountRow {
  const changed = { ...account, ...change }
  store.updateAccount(changed)
  return changed
}
