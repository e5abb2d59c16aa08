/**
 * What a person names on the command line: an account by DID, handle, AT URI or the address of a
 * page about it; a service; a CAR file.
 */

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import type { SyncClient } from '../../client/calls/sync-client.ts'
import { parseService } from '../../client/calls/service.ts'
import type { Identity } from '../../identity/identity.ts'
import { SkeinError } from '../../lib/errors.ts'
import { parseAtUri, splitAtUri } from '../../syntax/at-uri.ts'
import { type Did, isAtprotoDid, parseAtprotoDid } from '../../syntax/did.ts'
import { type Handle, normalizeHandle, parseHandle } from '../../syntax/handle.ts'
import { type Nsid, parseNsid } from '../../syntax/nsid.ts'
import { parseRecordKey, type RecordKey } from '../../syntax/record-key.ts'
import type { HandleOutcome } from './handle-resolver.ts'
import type { Session } from './session.ts'

/** An account as it was named, before anybody has been asked. */
export interface AccountName {
  readonly kind: 'account'
  /** A DID, or a handle in lower case. */
  readonly account: Did | Handle
  /** Of an AT URI or a page that names more than the account. */
  readonly collection: Nsid | null
  readonly rkey: RecordKey | null
  /** Origin of the service in the URL of a call: `https://pds.example.com`. */
  readonly service: string | null
}

export interface CarName {
  readonly kind: 'car'
  readonly path: string
}

/** What was named. */
export type TargetName = AccountName | CarName

/** Longest text looked at: the longest AT URI. */
const TEXT_CHARS_MAX = 8_192

/**
 * Reads what was typed. A file that is there wins over a handle of the same spelling; `@` before a
 * handle is dropped. Asks nobody.
 *
 * @throws SkeinError OPTION_INVALID when it is none of these.
 */
export function parseTarget(text: string): TargetName {
  const given = text.trim()
  if (given === '' || given.length > TEXT_CHARS_MAX) throw unknownTarget(given)
  if (given.startsWith('file:')) return { kind: 'car', path: pathOfFileUrl(given) }
  if (given.startsWith('did:') || given.startsWith('at:') || given.startsWith('@')) {
    return parseAccount(given)
  }
  if (/^https?:\/\//i.test(given)) return parsePage(given)
  const isPath = /[\\/]/.test(given) || given.toLowerCase().endsWith('.car')
  if (isPath || existsSync(given)) return { kind: 'car', path: given }
  return parseAccount(given)
}

/**
 * The same where only an account will do.
 *
 * @throws SkeinError OPTION_INVALID.
 */
export function parseAccount(text: string): AccountName {
  const given = text.trim()
  if (given.startsWith('at:')) {
    const uri = parseAtUri(given.endsWith('/') ? given.slice(0, -1) : given)
    if (uri === null) throw unknownTarget(given)
    const { authority, collection, rkey } = splitAtUri(uri)
    return { ...accountOf(authority), collection, rkey }
  }
  if (/^https?:\/\//i.test(given)) return parsePage(given)
  return accountOf(given.startsWith('@') ? given.slice(1) : given)
}

function accountOf(text: string): AccountName {
  const rest = { collection: null, rkey: null, service: null }
  const did = parseAtprotoDid(text)
  if (did !== null) return { kind: 'account', account: did, ...rest }
  const handle = parseHandle(text)
  if (handle === null) throw unknownTarget(text)
  return { kind: 'account', account: normalizeHandle(handle), ...rest }
}

/** The URL of a call (`?did=`), or of a page whose path names a DID or `profile/<handle>`. */
function parsePage(text: string): AccountName {
  const url = URL.parse(text)
  if (url === null) throw unknownTarget(text)
  const did = url.searchParams.get('did') ?? url.searchParams.get('repo')
  if (did !== null && url.pathname.startsWith('/xrpc/')) {
    const collection = parseNsid(url.searchParams.get('collection') ?? '')
    const rkey = collection === null ? null : parseRecordKey(url.searchParams.get('rkey') ?? '')
    return { ...accountOf(did), collection, rkey, service: url.origin }
  }
  const segments = url.pathname.split('/').filter((segment) => segment !== '')
  const parts = segments.map((segment) => decodeSegment(segment))
  const at = parts.findIndex(
    (part, i) => isAtprotoDid(part) || parts[i - 1] === 'profile' || parts[i - 1] === 'at:',
  )
  if (at === -1) throw unknownTarget(text)
  const collection = parseNsid(parts[at + 1] ?? '')
  const rkey = collection === null ? null : parseRecordKey(parts[at + 2] ?? '')
  return { ...accountOf(parts[at] ?? ''), collection, rkey }
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

function pathOfFileUrl(text: string): string {
  try {
    return fileURLToPath(text)
  } catch {
    throw unknownTarget(text)
  }
}

function unknownTarget(text: string): SkeinError {
  return new SkeinError(
    'OPTION_INVALID',
    'read target: it is no DID, handle, at:// URI, address of an account, or CAR file',
    { target: JSON.stringify(text.slice(0, 80)) },
  )
}

/** An account whose DID document has been read. */
export interface Account {
  readonly did: Did
  /** What the document claims, lower-case. */
  readonly handle: string | null
  /**
   * Whether the handle leads back to the DID: only looked into when the account was named by it.
   */
  readonly handleOutcome: HandleOutcome | null
  readonly identity: Identity
  /** The directory did not answer; the document is an older one. */
  readonly isStale: boolean
}

/** From a name to a DID. Asks nobody when it is one already. */
export async function didOf(
  session: Session,
  name: AccountName,
): Promise<{ readonly did: Did; readonly outcome: HandleOutcome | null }> {
  const did = parseAtprotoDid(name.account)
  if (did !== null) return { did, outcome: null }
  const outcome = await session.resolveHandle(name.account)
  session.signal.throwIfAborted()
  if (outcome.did !== null) return { did: outcome.did, outcome }
  const details = [outcome.dns, outcome.https].flatMap((answer) =>
    answer === null || answer.kind === 'did' ? [] : [answer.detail],
  )
  throw new SkeinError(
    outcome.isFinal ? 'NOT_THERE' : 'REQUEST_FAILED',
    `resolve handle ${name.account}: ${details.join('; ')}`,
  )
}

/**
 * From a name to an account: its handle's domain, then its DID document, both directions compared.
 *
 * @throws SkeinError NOT_THERE when the handle or the DID does not exist, or the DID document does
 *   not claim the handle; REQUEST_FAILED when nobody could say.
 */
export async function findAccount(session: Session, name: AccountName): Promise<Account> {
  const { did, outcome } = await didOf(session, name)
  const found = await session.identities.resolve(did, { signal: session.signal })
  session.signal.throwIfAborted()
  if (!found.ok) {
    const code = found.reason === 'identity-missing' ? 'NOT_THERE' : 'REQUEST_FAILED'
    throw new SkeinError(code, `resolve ${did}: ${found.detail}`, { reason: found.reason })
  }
  const { identity, stale } = found
  if (outcome !== null && identity.handle !== outcome.handle) {
    const claimed = identity.handle ?? 'no handle'
    throw new SkeinError(
      'NOT_THERE',
      `resolve handle ${outcome.handle}: it leads to ${did}, whose document claims ${claimed}`,
      { advice: 'use the DID if this is the account that is meant' },
    )
  }
  return { did, handle: identity.handle, handleOutcome: outcome, identity, isStale: stale }
}

/** Whom to ask about an account: what the person named, else the host of its DID document. */
export interface Source {
  readonly account: Account
  readonly client: SyncClient
}

/**
 * The account and a client of the service that is asked for it: `service` when it is given, else
 * that of the URL it was named by, else its host.
 *
 * @throws SkeinError as {@link findAccount}; NOT_THERE when the document names no host.
 */
export async function openSource(
  session: Session,
  name: AccountName,
  service: string | null,
): Promise<Source> {
  const named = service === null ? name.service : parseService(service).origin
  const account = await findAccount(session, name)
  if (named !== null) return { account, client: session.client(named, 'user') }
  const { pdsEndpoint } = account.identity
  if (pdsEndpoint === null) {
    throw new SkeinError('NOT_THERE', `find host of ${account.did}: its document names none`, {
      advice: 'name one with --service',
    })
  }
  return { account, client: session.client(pdsEndpoint, 'stranger') }
}
