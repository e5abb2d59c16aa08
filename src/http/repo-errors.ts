/** The lexicons' errors about a repository, by what is known of its account. */

import type { AccountView } from '../relay/relay-view.ts'
import { xrpcError } from './xrpc-error.ts'

/** 400 `RepoNotFound`. */
export function repoNotFound(did: string): Response {
  return xrpcError(400, 'RepoNotFound', `Could not find repo for DID: ${did}`)
}

/** Errors of the lexicons about a repository that is not served, and how they are put in words. */
const REFUSALS = {
  RepoTakendown: 'taken down',
  RepoSuspended: 'suspended',
  RepoDeactivated: 'deactivated',
} as const

/** 400 with the lexicons' name for why a repository is not served. */
export function repoRefused(error: 'RepoNotFound' | keyof typeof REFUSALS, did: string): Response {
  return error === 'RepoNotFound'
    ? repoNotFound(did)
    : xrpcError(400, error, `Repo has been ${REFUSALS[error]}: ${did}`)
}

const ERROR_OF_STATUS: ReadonlyMap<string, keyof typeof REFUSALS> = new Map([
  ['takendown', 'RepoTakendown'],
  ['suspended', 'RepoSuspended'],
  ['deactivated', 'RepoDeactivated'],
])

/**
 * The error for an account whose content may not be served; null when it may. A deleted account is
 * not found; a status without an error of its own counts as deactivated, which the message spells
 * out.
 */
export function inactiveError(account: AccountView): Response | null {
  const { did, active, status = 'not given' } = account
  if (active) return null
  if (status === 'deleted') return xrpcError(400, 'RepoNotFound', `Repo has been deleted: ${did}`)
  const error = ERROR_OF_STATUS.get(status)
  return error === undefined
    ? xrpcError(400, 'RepoDeactivated', `Repo is not active (status: ${status}): ${did}`)
    : repoRefused(error, did)
}
