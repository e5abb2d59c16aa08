/** Jobs on accounts: creating, statuses, handles, keys. */
import type { PrivateKey } from '../crypto/private-key.ts'
import { assert } from '../lib/assert.ts'
import { fail, ok } from '../lib/result.ts'
import type { HostedAccountRow, HostedAccountStatus } from '../store/repo-store.ts'
import { isHandle } from '../syntax/handle.ts'
import { emitSync, writeCommit } from './commit-writer.ts'
import { accountFrame, identityFrame } from './host-frames.ts'
import type { HostResult } from './outcomes.ts'
import { saveAccount, type Turn } from './turn.ts'

/** A new account. */
export interface NewAccount {
  readonly did: string
  /** Signs its commits from now on. The DID document must name its public half. */
  readonly key: PrivateKey
  /** Null when none is known. */
  readonly handle: string | null
  /**
   * `deactivated` for one that moves here: nothing is emitted and nothing can be written before it
   * is activated.
   */
  readonly status: 'active' | 'deactivated'
}

/** Where replay of an account's events is allowed or not. */
export interface ReplayGate {
  hide(did: string, beforeSeq: number): void
  unhide(did: string): void
  purge(did: string, beforeSeq: number): void
}

/** Keeps replay to what may be served of an account (I11). Saying it again changes nothing. */
export function gateReplay(gate: ReplayGate, account: HostedAccountRow): void {
  const { did, status, announced, inactiveSeq } = account
  if (status === 'active') gate.unhide(did)
  if (inactiveSeq === null) return
  // One that came back keeps the seq of its deletion: what was before is not the new one's.
  const isDeletion = status === 'deleted' || status === 'active' || !announced
  if (isDeletion) gate.purge(did, inactiveSeq)
  else gate.hide(did, inactiveSeq)
}

/** The account, if there is one that is not deleted. */
export function findAccount({ store }: Turn, did: string): HostedAccountRow | null {
  const account = store.account(did)
  return account === null || account.status === 'deleted' ? null : account
}

/** Readers hold `#identity` against its lexicon. */
const handleInvalid = (handle: string): HostResult<never> =>
  fail('HandleInvalid', `handle ${JSON.stringify(handle.slice(0, 80))}`)

/** Creates an account. One that was deleted may come back; its revs go on from the last one. */
export function createAccount(turn: Turn, account: NewAccount): HostResult<HostedAccountRow> {
  const { did, key, handle, status } = account
  if (handle !== null && !isHandle(handle)) return handleInvalid(handle)
  const known = turn.store.account(did)
  if (known !== null && known.status !== 'deleted') return fail('AccountExists', did)
  const row =
    known === null
      ? turn.store.addAccount({ did, handle, status: 'deactivated', createdAtMs: turn.nowMs })
      : saveAccount(turn, known, { handle, status: 'deactivated', announced: false })
  turn.keys.set(row.id, key)
  return ok(status === 'active' ? activate(turn, row) : row)
}

/**
 * Makes an account active and says so: `#identity`, so that whoever hears looks up where it is and
 * which key it has before anything must be checked; `#account`; then what it holds.
 */
function activate(turn: Turn, account: HostedAccountRow): HostedAccountRow {
  emitIdentity(turn, account)
  turn.emit('account', account.did, (seq) => accountFrame(account.did, null, turn.time, seq))
  let active = saveAccount(turn, account, {
    status: 'active',
    announced: true,
    inactiveSeq: account.announced ? null : account.inactiveSeq,
  })
  if (active.head === null) {
    const first = writeCommit(turn, active, [])
    assert(first.ok, 'the first commit is small')
    active = first.value
  }
  emitSync(turn, active)
  return active
}

function emitIdentity(turn: Turn, { did, handle }: HostedAccountRow): void {
  turn.emit('identity', did, (seq) => identityFrame(did, handle, turn.time, seq))
}

/**
 * Sets the status of an account. The one before is replaced, whatever it was; what it was is not
 * said again.
 *
 * @param gate Told once the event is published: who follows live hears of it first.
 */
export function setStatus(
  turn: Turn,
  change: { readonly did: string; readonly status: HostedAccountStatus },
  gate: ReplayGate,
): HostResult<HostedAccountRow> {
  const account = findAccount(turn, change.did)
  if (account === null) return fail('RepoNotFound', change.did)
  const { status } = change
  if (status === account.status) return ok(account)
  const changed = status === 'active' ? activate(turn, account) : deactivate(turn, account, status)
  turn.afterPublish(() => gateReplay(gate, changed))
  return ok(changed)
}

function deactivate(
  turn: Turn,
  account: HostedAccountRow,
  status: Exclude<HostedAccountStatus, 'active'>,
): HostedAccountRow {
  const { did } = account
  const inactiveSeq = account.announced
    ? turn.emit('account', did, (seq) => accountFrame(did, status, turn.time, seq))
    : account.inactiveSeq
  const changed = saveAccount(turn, account, { status, inactiveSeq })
  return status === 'deleted' ? discard(turn, changed) : changed
}

/** Lets go of everything but DID and rev. */
function discard(turn: Turn, account: HostedAccountRow): HostedAccountRow {
  const { id, repoId } = account
  if (repoId !== null) {
    turn.store.setRepoState(repoId, 'garbage')
    turn.trees.drop(repoId)
  }
  turn.keys.wipe(id)
  // Nobody may want them back: they need not wait for the grace of uploads.
  turn.blobs.discardAll(id)
  return saveAccount(turn, account, { repoId: null, head: null, handle: null })
}

/** Sets the handle and says so. The DID document has been changed before. */
export function updateHandle(
  turn: Turn,
  did: string,
  handle: string | null,
): HostResult<HostedAccountRow> {
  if (handle !== null && !isHandle(handle)) return handleInvalid(handle)
  const account = findAccount(turn, did)
  if (account === null) return fail('RepoNotFound', did)
  const changed = saveAccount(turn, account, { handle })
  if (account.announced) emitIdentity(turn, changed)
  return ok(changed)
}

/**
 * Changes the key, with a commit of the same tree that verifies under the new one. Says so, if the
 * account is active, by `#identity`, `#commit` and `#sync`: who knows the repository goes on, who
 * does not hears where it stands.
 */
export function rotateKey(turn: Turn, did: string, key: PrivateKey): HostResult<HostedAccountRow> {
  const account = findAccount(turn, did)
  if (account === null) return fail('RepoNotFound', did)
  turn.keys.set(account.id, key)
  if (account.announced) emitIdentity(turn, account)
  if (account.head === null) return ok(account)
  const isActive = account.status === 'active'
  const signed = writeCommit(turn, account, [], isActive ? 'emit' : 'silent')
  assert(signed.ok, 'a commit without changes is small')
  if (isActive) emitSync(turn, signed.value)
  return signed
}
