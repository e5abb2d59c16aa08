/** The lexicons' errors about a repository, by what the relay knows of its account. */

import type { AccountView } from '../relay/relay-view.ts'
import { xrpcError } from './xrpc-error.ts'

/** 400 `RepoNotFound`. */
export function repoNotFound(did: string): Response {
  return xrpcError(400, 'RepoNotFound', `Could not find repo for DID: ${did}`)
}

const INACTIVE: Readonly<Record<string, { readonly error: string; readonly what: string }>> = {
  deleted: { error: 'RepoNotFound', what: 'deleted' },
  takendown: { error: 'RepoTakendown', what: 'taken down' },
  suspended: { error: 'RepoSuspended', what: 'suspended' },
  deactivated: { error: 'RepoDeactivated', what: 'deactivated' },
}

/**
 * The error for an account whose content may not be served; null when it may. A deleted account is
 * not found; a status without an error of its own counts as deactivated, which the message spells out.
 */
export function inactiveError(account: AccountView): Response | null {
  const { did, active, status = 'not given' } = account
  if (active) return null
  const known = Object.hasOwn(INACTIVE, status) ? INACTIVE[status] : undefined
  return known === undefined
    ? xrpcError(400, 'RepoDeactivated', `Repo is not active (status: ${status}): ${did}`)
    : xrpcError(400, known.error, `Repo has been ${known.what}: ${did}`)
}
