/** The job that makes an imported repository an account's own. */
import { assert } from '../lib/assert.ts'
import { fail, ok } from '../lib/result.ts'
import { signCommit } from '../repo/commit.ts'
import type { HostedAccountRow } from '../store/repo-store.ts'
import { findAccount } from './account-jobs.ts'
import { emitSync } from './commit-writer.ts'
import type { StagedRepo } from './import-repo.ts'
import type { HostResult } from './outcomes.ts'
import { saveAccount, type Turn } from './turn.ts'

/**
 * Turns an account to a staged repository, with a commit of the same tree under the account's key
 * on this host: the one that came with it may be signed with another. What the account had before
 * is discarded. An active account says so by `#sync`.
 */
export function adoptRepo(
  turn: Turn,
  did: string,
  staged: StagedRepo,
): HostResult<HostedAccountRow> {
  const account = findAccount(turn, did)
  if (account === null) {
    turn.store.setRepoState(staged.repoId, 'garbage')
    return fail('RepoNotFound', did)
  }
  const { repoId, rev, imported } = staged
  assert(account.rev === null || account.rev < rev, 'nothing is committed during an import')
  if (account.repoId !== null) {
    turn.store.setRepoState(account.repoId, 'garbage')
    turn.trees.drop(account.repoId)
  }
  const data = imported.data.slice()
  const commit = signCommit({ did, rev, data }, turn.keys.of(account.id))
  turn.store.setRepoState(repoId, 'live')
  turn.blocks.add(repoId, commit.cid, commit.block, rev)
  const adopted = saveAccount(turn, account, { repoId, rev, head: { commit: commit.cid, data } })
  turn.blobs.recount(account.id, repoId, turn.nowMs)
  if (account.status === 'active') emitSync(turn, adopted)
  return ok(adopted)
}
