/** com.atproto.sync.getRepoStatus of a host */

import { mainSchema } from '@atcute/atproto/types/sync/getRepoStatus'

import type { HostView } from '../repo-host/host-view.ts'
import type { Endpoint } from './endpoint.ts'
import { repoNotFound } from './repo-errors.ts'
import { invalidRequest, jsonAnswer } from './xrpc-error.ts'
import { readParams } from './xrpc-params.ts'

/** The account's state, served or not. Deleted accounts keep theirs. */
export function hostGetRepoStatus(view: HostView): Endpoint {
  return {
    nsid: mainSchema.nsid,
    method: 'GET',
    answer({ query }) {
      const params = readParams(mainSchema.nsid, mainSchema.params, query)
      if (!params.ok) return invalidRequest(params.detail)
      const account = view.status(params.value.did)
      if (account === null) return repoNotFound(params.value.did)
      const { did, active, status, rev } = account
      return jsonAnswer({ did, active, status, rev: active ? rev : undefined })
    },
  }
}
