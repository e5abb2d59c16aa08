/** AT URIs in the restricted form that Lexicons use (specification: AT URI scheme). */
import { isResourceUri } from '@atcute/lexicons/syntax'

import { type AtIdentifier, toAtIdentifier } from './at-identifier.ts'
import { type Branded, parseWith, requireWith } from './brand.ts'
import { type Nsid, toNsid } from './nsid.ts'
import { type RecordKey, toRecordKey } from './record-key.ts'

/** `at://` authority, then optionally `/` collection, then optionally `/` record key. */
export type AtUri = Branded<'at-uri', `at://${string}`>

const PREFIX = 'at://'

/** The parts of an AT URI; null where it ends earlier. */
export interface AtUriParts {
  readonly authority: AtIdentifier
  readonly collection: Nsid | null
  readonly rkey: RecordKey | null
}

/** True for an AT URI of at most 8,192 characters, without a query or fragment. */
export function isAtUri(value: unknown): value is AtUri {
  return isResourceUri(value) && !value.includes('#')
}

/** `text` as an AT URI, or null. */
export function parseAtUri(text: string): AtUri | null {
  return parseWith(isAtUri, text)
}

/** `text` as an AT URI. Throws SYNTAX_INVALID. */
export function toAtUri(text: string): AtUri {
  return requireWith(isAtUri, 'AT URI', text)
}

/** The parts of `uri`. */
export function splitAtUri(uri: AtUri): AtUriParts {
  const [authority = '', collection, rkey] = uri.slice(PREFIX.length).split('/')
  return {
    authority: toAtIdentifier(authority),
    collection: collection === undefined ? null : toNsid(collection),
    rkey: rkey === undefined ? null : toRecordKey(rkey),
  }
}
