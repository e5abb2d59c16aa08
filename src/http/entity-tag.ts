/** Entity tags of content-addressed bodies (RFC 9110, sections 8.8.3 and 13.1). */

import { cidToString } from '../data/cid.ts'

/** The strong tag of the bytes that a CID names. */
export function entityTag(cid: Uint8Array): string {
  return `"${cidToString(cid)}"`
}

/** Whether `If-None-Match` names the tag, so that the client has the body already. */
export function isKnownTag(ifNoneMatch: string | null, tag: string): boolean {
  if (ifNoneMatch === null) return false
  const tags = ifNoneMatch.split(',').map((one) => one.trim().replace(/^W\//, ''))
  return tags.includes(tag) || ifNoneMatch.trim() === '*'
}

/**
 * Whether `If-Range` lets a part be sent: when there is none, or it is the very tag. Dates never
 * match, since nothing here has one.
 */
export function isSameEntity(ifRange: string | null, tag: string): boolean {
  return ifRange === null || ifRange.trim() === tag
}
