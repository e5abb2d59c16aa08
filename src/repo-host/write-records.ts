/** The job that applies the writes of one call. */
import { cidEquals, cidToString } from '../data/cid.ts'
import { must } from '../lib/assert.ts'
import { fail, ok } from '../lib/result.ts'
import type { HostedAccountRow } from '../store/repo-store.ts'
import { type RecordChange, writeCommit } from './commit-writer.ts'
import type { HostResult, WriteAnswer, WrittenRecord } from './outcomes.ts'
import type { PreparedWrite } from './record-writes.ts'
import type { Turn } from './turn.ts'

/** What one call wants. */
export interface WriteCall {
  readonly did: string
  readonly writes: readonly PreparedWrite[]
  /** The commit (36 bytes) that must be the newest; null when any may be. */
  readonly swapCommit: Uint8Array | null
}

/** What one write comes to: null for the change when there is nothing to do. */
interface Step {
  readonly change: RecordChange | null
  readonly written: WrittenRecord
}

const textOf = (cid: Uint8Array | null): string => (cid === null ? 'nothing' : cidToString(cid))

/** Applies all writes as one commit, or refuses all of them. */
export function writeRecords(turn: Turn, call: WriteCall): HostResult<WriteAnswer> {
  const account = turn.store.account(call.did)
  if (account === null || account.status === 'deleted') return fail('RepoNotFound', call.did)
  if (account.status !== 'active') return fail('RepoInactive', `${call.did} is ${account.status}`)
  const { commit } = must(account.head, 'head of an active account')
  if (call.swapCommit !== null && !cidEquals(call.swapCommit, commit)) {
    return fail('InvalidSwap', `the commit is ${cidToString(commit)}`)
  }
  const changes: RecordChange[] = []
  const records: WrittenRecord[] = []
  for (const write of call.writes) {
    const step = stepOf(turn, account, write)
    if (!step.ok) return step
    records.push(step.value.written)
    if (step.value.change !== null) changes.push(step.value.change)
  }
  if (changes.length === 0) return ok({ commit: null, records })
  const after = writeCommit(turn, account, changes)
  if (!after.ok) return after
  const cid = must(after.value.head, 'head').commit
  return ok({ commit: { cid, rev: must(after.value.rev, 'rev') }, records })
}

function stepOf(turn: Turn, account: HostedAccountRow, write: PreparedWrite): HostResult<Step> {
  const { action, path, record, swapRecord } = write
  const repoId = must(account.repoId, 'repository')
  const before = turn.store.record(repoId, path)?.cid ?? null
  if (swapRecord !== undefined && textOf(swapRecord) !== textOf(before)) {
    return fail('InvalidSwap', `at ${path} is ${textOf(before)}`)
  }
  if (action === 'create' && before !== null) return fail('RecordExists', path)
  if ((action === 'update' || action === 'delete') && before === null) {
    return fail('RecordNotFound', path)
  }
  if (record === null) {
    const change = before === null ? null : { path, before, after: null }
    return ok({ change, written: { action: 'delete', path, cid: null } })
  }
  for (const { cid, legacy } of record.blobs) {
    if (!legacy && turn.blobs.blob(account.id, cid) === null) {
      return fail('BlobNotFound', `${cidToString(cid)} of ${path}`)
    }
  }
  const written = {
    action: before === null ? ('create' as const) : ('update' as const),
    path,
    cid: record.cid,
  }
  const same = before !== null && cidEquals(before, record.cid)
  return ok({ change: same ? null : { path, before, after: record }, written })
}
