/** What every endpoint of the host that is about one repository asks first. */

import type { HostView } from '../repo-host/host-view.ts'
import { repoRefused } from './repo-errors.ts'

/** The error for a repository that is not served; null when it is. */
export function refusedRepo(view: HostView, did: string): Response | null {
  const availability = view.availability(did)
  return availability === 'active' ? null : repoRefused(availability, did)
}

/** A CAR that lies in memory. */
export function carAnswer(car: Uint8Array): Response {
  return new Response(car, { headers: { 'content-type': CAR_TYPE } })
}

export const CAR_TYPE = 'application/vnd.ipld.car'
