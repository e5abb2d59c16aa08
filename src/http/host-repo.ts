/** What every endpoint of the host that is about one repository asks first. */

import type { HostView } from '../repo-host/host-view.ts'
import { EXPORT_RETRY_AFTER_S } from './http-limits.ts'
import { repoRefused } from './repo-errors.ts'
import { xrpcError } from './xrpc-error.ts'

/** The error for a repository that is not served; null when it is. */
export function refusedRepo(view: HostView, did: string): Response | null {
  const availability = view.availability(did)
  return availability === 'active' ? null : repoRefused(availability, did)
}

/** 429 or 503: what is asked for takes room that others are using. */
export function retryLater(status: 429 | 503, error: string, message: string): Response {
  return xrpcError(status, error, message, { 'retry-after': String(EXPORT_RETRY_AFTER_S) })
}

export const CAR_TYPE = 'application/vnd.ipld.car'
