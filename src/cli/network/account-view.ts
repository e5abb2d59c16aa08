/** What one service says of one account: the same of hosts and relays, so that they compare. */

import { CallError, isCallError } from '../../client/calls/call-error.ts'
import { SyncClient } from '../../client/calls/sync-client.ts'
import { causeOf } from '../doctor/doctor-report.ts'
import type { Session } from '../shared/session.ts'

/** `active`; `not-found`; why it is not active; `unknown` when the service does not say. */
export type AccountStatusText = 'active' | 'not-found' | 'unknown' | (string & {})

export interface AccountView {
  /** Origin of the service. */
  readonly service: string
  readonly role: 'host' | 'relay'
  readonly status: AccountStatusText
  readonly rev: string | null
  /** CID of the commit; null when there is none or it is not shown. */
  readonly commit: string | null
  /** Why the service did not say; null when it did. */
  readonly error: CallError | null
}

/** What the errors of calls about an account say of its status. */
const STATUS_OF_ERROR: Readonly<Partial<Record<string, AccountStatusText>>> = {
  RepoNotFound: 'not-found',
  HeadNotFound: 'not-found',
  RepoDeactivated: 'deactivated',
  RepoSuspended: 'suspended',
  RepoTakendown: 'takendown',
}

/**
 * Asks getRepoStatus and getLatestCommit. Services that lack the former are understood by the
 * latter. Never rejects but for what is no CallError.
 */
export async function viewAccount(
  client: SyncClient,
  role: AccountView['role'],
  did: string,
): Promise<AccountView> {
  const { service } = client
  const [status, latest] = await Promise.all([
    outcomeOf(client.getRepoStatus({ did })),
    outcomeOf(client.getLatestCommit({ did })),
  ])
  const commit = latest.value?.cid ?? null
  const rev = latest.value?.rev ?? status.value?.rev ?? null
  const base = { service, role, rev, commit }
  if (status.value !== null) {
    const { active, status: why = 'inactive' } = status.value
    return { ...base, status: active ? 'active' : why, error: null }
  }
  const told = STATUS_OF_ERROR[status.error?.code ?? '']
  if (told !== undefined) return { ...base, status: told, error: null }
  if (latest.value !== null) return { ...base, status: 'active', error: null }
  const toldByHead = STATUS_OF_ERROR[latest.error?.code ?? '']
  if (toldByHead !== undefined) return { ...base, status: toldByHead, error: null }
  return { ...base, status: 'unknown', error: status.error }
}

/** A client that asks once: what is seen now is what is shown. */
export function askOnce(
  session: Session,
  service: string,
  namedBy: 'user' | 'stranger',
): SyncClient {
  return new SyncClient(service, { ...session.clientOptions, namedBy, retry: 'never' })
}

interface Outcome<T> {
  readonly value: T | null
  readonly error: CallError | null
}

async function outcomeOf<T>(call: Promise<T>): Promise<Outcome<T>> {
  try {
    return { value: await call, error: null }
  } catch (error) {
    if (isCallError(error) && error.code !== 'Aborted') return { value: null, error }
    throw error
  }
}

/** The status, or why it is not known, in few words. */
export function statusText({ status, error }: AccountView): string {
  return error === null ? status : `unknown (${error.code})`
}

/** The error of a call in one line, without the name of the call and the service. */
export function callFailure(error: unknown): string {
  if (!isCallError(error)) return causeOf(error)
  const prefix = `${error.nsid} at ${error.service}: `
  const text = error.message.startsWith(prefix) ? error.message.slice(prefix.length) : error.message
  // Fields of errors say again what the words before them say.
  const words = text.replace(/^status \d+, /, '').replace(/; why=.*$/, '')
  return words.startsWith(error.code) ? words : `${error.code}: ${words}`
}
