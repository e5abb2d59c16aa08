/**
 * Identifiers of the AT Protocol as branded strings.
 *
 * | file | holds |
 * |---|---|
 * | brand.ts | `Branded`, and the two helpers behind every parser |
 * | did.ts | DIDs of any method, and those that may name an account |
 * | handle.ts, at-identifier.ts | handles; DID or handle |
 * | nsid.ts, record-key.ts | the two halves of a repository path |
 * | repo-path.ts | repository paths, as text and as bytes |
 * | tid.ts | timestamp identifiers and revisions |
 * | at-uri.ts, cid-string.ts, datetime.ts, language.ts, uri.ts | the other string formats |
 *
 * For each kind there is `isX(value)`, `parseX(text)` which gives null, and `toX(text)` which
 * throws SYNTAX_INVALID. Text from the network goes through the first two; `toX` is for text that
 * the program or its operator wrote.
 *
 * Nothing is owned here: all of it is pure functions over strings. It refuses to normalise (an
 * identifier is accepted as written or not at all), to resolve anything, and to import from
 * `node:`.
 *
 * @module
 */
export type { AtIdentifier } from './at-identifier.ts'
export { isAtIdentifier, parseAtIdentifier, toAtIdentifier } from './at-identifier.ts'
export type { AtUri, AtUriParts } from './at-uri.ts'
export { isAtUri, parseAtUri, splitAtUri, toAtUri } from './at-uri.ts'
export type { Branded } from './brand.ts'
export type { CidString } from './cid-string.ts'
export { isCidString, isDaslCid, parseCidString, toCidString } from './cid-string.ts'
export type { Datetime } from './datetime.ts'
export { formatDatetime, isDatetime, parseDatetime, toDatetime } from './datetime.ts'
export type { Did } from './did.ts'
export {
  isAtprotoDid,
  isAtprotoWebDid,
  isDid,
  isPlcDid,
  parseAtprotoDid,
  parseDid,
  toAtprotoDid,
  toDid,
} from './did.ts'
export type { Handle } from './handle.ts'
export { hasDisallowedTld, isHandle, normalizeHandle, parseHandle, toHandle } from './handle.ts'
export type { Language } from './language.ts'
export { isLanguage, parseLanguage, toLanguage } from './language.ts'
export type { Nsid } from './nsid.ts'
export { isNsid, parseNsid, toNsid } from './nsid.ts'
export type { RecordKey } from './record-key.ts'
export { isRecordKey, parseRecordKey, toRecordKey } from './record-key.ts'
export type { RepoPath } from './repo-path.ts'
export { formatRepoPath, isRepoPathBytes, parseRepoPath } from './repo-path.ts'
export type { Tid } from './tid.ts'
export {
  compareTids,
  createTid,
  isTid,
  nextTid,
  parseTid,
  tidClockId,
  tidMicros,
  tidOf,
  toTid,
} from './tid.ts'
export type { Uri } from './uri.ts'
export { isUri, parseUri, toUri } from './uri.ts'
