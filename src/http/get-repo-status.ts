/** com.atproto.sync.getRepoStatus */

import { mainSchema } from '@atcute/atproto/types/sync/getRepoStatus'

import type { RelayView } from '../relay/relay-view.ts'
import type { Endpoint } from './endpoint.ts'
import { repoNotFound } from './repo-errors.ts'
import { invalidRequest, jsonAnswer } from './xrpc-error.ts'
import { readParams } from './xrpc-params.ts'

/** The account's state here, active or not; `rev` only while it is active. */
export function getRepoStatus(view: RelayView): Endpoint {
  return {
    nsid: mainSchema.nsid,
    method: 'GET',
    answer({ query }) {
      const params = readParams(mainSchema.nsid, mainSchema.params, query)
      if (!params.ok) return invalidRequest(params.detail)
      const account = view.account(params.value.did)
      if (account === null) return repoNotFound(params.value.did)
      const { did, active, status, rev } = account
      return jsonAnswer({ did, active, status, rev: active ? rev : undefined })
    },
  }
}
