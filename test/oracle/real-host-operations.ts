/**
 * What can be asked of a host for one account, and what must come of it: the change to the model
 * and the events, in order. An operation whose answer was lost is applied when its events are
 * found, else never.
 */
import type { PrivateKey } from '../../src/crypto/private-key.ts'
import { formatDidKey } from '../../src/crypto/public-key.ts'
import { must } from '../../src/lib/assert.ts'
import type { RepoWrite } from '../../src/repo-host/record-writes.ts'
import type { AccountStatus } from '../../src/sim/world.ts'
import { EMPTY_ROOT, type HostedAccount, type StoredRecord } from './hosted-account.ts'
import type { HostCall, SentKey } from './real-hosts-calls.ts'

/** A commit as the host names it; its tree follows from the model. */
export interface SaidCommit {
  readonly rev: string
  readonly commit: string
}

/** An event that must be in the stream of the host. CIDs are text. */
export type ExpectedEvent =
  | { readonly type: '#identity'; readonly handle: string }
  | { readonly type: '#account'; readonly status: AccountStatus }
  | ({ readonly type: '#sync' } & ExpectedCommit)
  | ({
      readonly type: '#commit'
      readonly since: string | null
      readonly prevData: string | null
      /** `action path cid prev`, sorted. */
      readonly ops: readonly string[]
    } & ExpectedCommit)

export interface ExpectedCommit extends SaidCommit {
  readonly data: string
  /** did:key that it must verify under. */
  readonly key: string
}

export interface Operation {
  readonly account: HostedAccount
  readonly call: HostCall
  /** Whether a commit is made: then {@link apply} is given it. */
  readonly commits: () => boolean
  /** Changes the model; returns what the host must have said of it. */
  apply(said: SaidCommit | null): Promise<ExpectedEvent[]>
}

/** A write before it is sent. */
export interface PlannedWrite {
  readonly action: 'create' | 'update' | 'delete'
  readonly path: string
  /** Null for deletions. */
  readonly record: {
    readonly block: Uint8Array
    readonly cid: string
    readonly blobs: string[]
  } | null
}

export function sentKey(key: PrivateKey): SentKey {
  return { curve: key.curve, secret: key.export() }
}

function headEvent(account: HostedAccount): ExpectedCommit {
  const { rev, commit, data } = must(account.head, 'head')
  return { rev, commit, data, key: formatDidKey(account.key.publicKey) }
}

function identity({ handle }: HostedAccount): ExpectedEvent {
  return { type: '#identity', handle }
}

/** A commit without operations. */
function commitAgain(account: HostedAccount, said: SaidCommit): ExpectedEvent {
  const before = account.head
  account.commit({ ...said, data: before?.data ?? EMPTY_ROOT }, new Map())
  const since = before?.rev ?? null
  return { type: '#commit', ...headEvent(account), since, prevData: before?.data ?? null, ops: [] }
}

/** Identity, account, the first commit if there is none, sync. */
function activate(account: HostedAccount, said: SaidCommit | null): ExpectedEvent[] {
  account.status = 'active'
  account.announced = true
  const events: ExpectedEvent[] = [identity(account), { type: '#account', status: 'active' }]
  if (account.head === null) events.push(commitAgain(account, must(said, 'first commit')))
  events.push({ type: '#sync', ...headEvent(account) })
  return events
}

export function createAccount(
  account: HostedAccount,
  status: 'active' | 'deactivated' = 'active',
): Operation {
  const { did, key, handle } = account
  return {
    account,
    call: { op: 'createAccount', did, key: sentKey(key), handle, status },
    commits: () => status === 'active',
    async apply(said) {
      account.status = 'deactivated'
      account.announced = false
      account.handle = handle
      account.key = key
      return status === 'active' ? activate(account, said) : []
    },
  }
}

export function setStatus(account: HostedAccount, status: AccountStatus): Operation {
  return {
    account,
    call: { op: 'setStatus', did: account.did, status },
    commits: () => status === 'active' && account.status !== 'active' && account.head === null,
    async apply(said) {
      if (status === account.status) return []
      if (status === 'active') return activate(account, said)
      const events: ExpectedEvent[] = account.announced ? [{ type: '#account', status }] : []
      account.status = status
      if (status === 'deleted') account.discard()
      return events
    },
  }
}

export function updateHandle(account: HostedAccount, handle: string): Operation {
  return {
    account,
    call: { op: 'updateHandle', did: account.did, handle },
    commits: () => false,
    async apply() {
      account.handle = handle
      return account.announced ? [identity(account)] : []
    },
  }
}

/** The directory has been told before. */
export function rotateKey(account: HostedAccount, key: PrivateKey): Operation {
  return {
    account,
    call: { op: 'rotateKey', did: account.did, key: sentKey(key) },
    commits: () => account.head !== null,
    async apply(said) {
      account.key = key
      const events: ExpectedEvent[] = account.announced ? [identity(account)] : []
      if (account.head === null) return events
      const again = commitAgain(account, must(said, 'commit under the new key'))
      if (account.status !== 'active') return events
      return [...events, again, { type: '#sync', ...headEvent(account) }]
    },
  }
}

/** @param swapCommit CID, 36 bytes. */
export function applyWrites(
  account: HostedAccount,
  writes: readonly PlannedWrite[],
  swapCommit: Uint8Array | null = null,
): Operation {
  const { did } = account
  const sent = writes.map(({ action, path, record }): RepoWrite => {
    if (action === 'delete' || record === null) return { action: 'delete', path }
    const { block } = record
    return action === 'create' ? { action, path, block } : { action, path, block }
  })
  /** Writes that leave a record as it is count for nothing. */
  const changing = (): PlannedWrite[] =>
    writes.filter(({ path, record }) => account.records.get(path)?.cid !== record?.cid)
  return {
    account,
    call: { op: 'applyWrites', did, writes: sent, swapCommit },
    commits: () => changing().length > 0,
    async apply(said) {
      const changed = changing()
      if (changed.length === 0) return []
      const before = must(account.head, 'head')
      const { rev } = must(said, 'commit')
      const changes = new Map<string, StoredRecord | null>()
      const ops: string[] = []
      for (const { path, record } of changed) {
        const prev = account.records.get(path)?.cid ?? null
        changes.set(path, record === null ? null : { cid: record.cid, rev, blobs: record.blobs })
        const action = record === null ? 'delete' : prev === null ? 'create' : 'update'
        ops.push(`${action} ${path} ${record?.cid ?? '-'} ${prev ?? '-'}`)
      }
      const data = await account.dataAfter(changes)
      account.commit({ ...must(said, 'commit'), data }, changes)
      const { rev: since, data: prevData } = before
      return [{ type: '#commit', ...headEvent(account), since, prevData, ops: ops.sort() }]
    },
  }
}

/** @param records What the CAR holds. */
export function importRepo(
  account: HostedAccount,
  call: Extract<HostCall, { op: 'importRepo' | 'importCar' }>,
  records: ReadonlyMap<string, StoredRecord>,
): Operation {
  return {
    account,
    call,
    commits: () => true,
    async apply(said) {
      await account.import(must(said, 'commit of the import'), records)
      return account.status === 'active' ? [{ type: '#sync', ...headEvent(account) }] : []
    },
  }
}
