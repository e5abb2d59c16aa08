/**
 * Reads what atproto needs out of a DID document (specification: DID, "Representation in Atproto").
 * The document is hostile: only named own properties are read, nothing is walked recursively, and
 * the work is bounded whatever its size.
 */

import { parseVerificationMethodKey } from '../crypto/public-key.ts'
import type { PublicKey } from '../crypto/public-key.ts'
import { fromUtf8 } from '../lib/bytes.ts'
import { fail, ok } from '../lib/result.ts'
import type { Result } from '../lib/result.ts'
import { isHandle, normalizeHandle } from '../syntax/handle.ts'
import { parseHostname } from './hostname.ts'

/** What a DID document says about an account. Each part may be missing without the others. */
export interface DidDocument {
  readonly did: string
  /** The `#atproto` key; null when there is none that can be used. */
  readonly signingKey: PublicKey | null
  /** Origin of the `#atproto_pds` service, no slash at the end; null when there is none usable. */
  readonly pdsEndpoint: string | null
  /** The endpoint's host in the spelling of {@link parseHostname}; null exactly with it. */
  readonly pdsHostname: string | null
  /** What the document claims, lower-case; nobody has asked the handle's own domain. */
  readonly handle: string | null
}

/** Entries of one array that are looked at: real documents hold fewer than ten. */
const ENTRIES_MAX = 1_000
/** Keys of the right name that are tried: decoding a point is the one costly step here. */
const KEY_CANDIDATES_MAX = 8
/** Longest service endpoint: `https://`, a name of 253, a port and a slash. */
const ENDPOINT_LENGTH_MAX = 300
/** Longest alias: `at://` and a handle of 253. */
const ALIAS_LENGTH_MAX = 258

/**
 * Reads a document as it came from the network: UTF-8 JSON. The caller has bounded its size. It
 * must be of `did`, which is compared exactly.
 *
 * Not checked: whether a host or handle exists or agrees, the rest of the document, any signature.
 */
export function parseDidDocument(
  did: string,
  bytes: Uint8Array,
): Result<DidDocument, 'did-document-invalid'> {
  const text = fromUtf8(bytes)
  if (text === null) return fail('did-document-invalid', 'not UTF-8')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return fail('did-document-invalid', 'not JSON')
  }
  return readDidDocument(did, value)
}

/** The same for a document that is already a JSON value. */
export function readDidDocument(
  did: string,
  value: unknown,
): Result<DidDocument, 'did-document-invalid'> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return fail('did-document-invalid', 'not a JSON object')
  }
  const id = own(value, 'id')
  if (id !== did) {
    const shown = typeof id === 'string' ? id.slice(0, 80) : typeof id
    return fail('did-document-invalid', `the document is of another DID: ${JSON.stringify(shown)}`)
  }
  const endpoint = own(findService(did, value), 'serviceEndpoint')
  const host =
    typeof endpoint === 'string' && endpoint.length <= ENDPOINT_LENGTH_MAX
      ? readEndpoint(endpoint)
      : null
  return ok({
    did,
    signingKey: findSigningKey(did, value),
    pdsEndpoint: host?.endpoint ?? null,
    pdsHostname: host?.hostname ?? null,
    handle: findHandle(value),
  })
}

/** The first key that is named `#atproto`, controlled by the DID itself, and decodes. */
function findSigningKey(did: string, document: object): PublicKey | null {
  let candidates = 0
  for (const method of entries(document, 'verificationMethod')) {
    if (!isNamed(did, method, '#atproto') || own(method, 'controller') !== did) continue
    if (candidates++ >= KEY_CANDIDATES_MAX) return null
    const type = own(method, 'type')
    const text = own(method, 'publicKeyMultibase')
    if (typeof type !== 'string' || typeof text !== 'string') continue
    const key = parseVerificationMethodKey(type, text)
    if (key !== null) return key
  }
  return null
}

/** The first service of the right name and type. Later ones do not count, though it be unusable. */
function findService(did: string, document: object): unknown {
  for (const service of entries(document, 'service')) {
    if (!isNamed(did, service, '#atproto_pds')) continue
    if (own(service, 'type') === 'AtprotoPersonalDataServer') return service
  }
  return undefined
}

/**
 * Scheme, host and port only. Ports and `localhost` are let through on every network: they name
 * hosts that a public relay is never connected to, so that they are refused there, by name.
 */
function readEndpoint(endpoint: string): { endpoint: string; hostname: string } | null {
  if (!/^https?:\/\//i.test(endpoint)) return null
  const parsed = parseHostname(endpoint, { allowPrivateNetwork: true })
  return parsed.ok ? parsed.value : null
}

function findHandle(document: object): string | null {
  for (const alias of entries(document, 'alsoKnownAs')) {
    if (typeof alias !== 'string' || alias.length > ALIAS_LENGTH_MAX) continue
    if (!alias.startsWith('at://')) continue
    const handle = alias.slice('at://'.length)
    if (isHandle(handle)) return normalizeHandle(handle)
  }
  return null
}

/** Ids are written absolute (`did:plc:…#atproto`) or relative to the document (`#atproto`). */
function isNamed(did: string, entry: unknown, fragment: string): boolean {
  const id = own(entry, 'id')
  return id === fragment || id === did + fragment
}

function entries(document: object, key: string): readonly unknown[] {
  const value = own(document, key)
  return Array.isArray(value) ? value.slice(0, ENTRIES_MAX) : []
}

/** An own property of what may be anything; never one that is inherited. */
function own(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  return Object.getOwnPropertyDescriptor(value, key)?.value
}
