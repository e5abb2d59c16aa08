/** com.atproto.sync.getLatestCommit */

import { mainSchema } from '@atcute/atproto/types/sync/getLatestCommit'

import type { RelayView } from '../relay/relay-view.ts'
import type { Endpoint } from './endpoint.ts'
import { inactiveError, repoNotFound } from './repo-errors.ts'
import { invalidRequest, jsonAnswer } from './xrpc-error.ts'
import { readParams } from './xrpc-params.ts'

/** The head that this relay has seen. An account without a commit yet is `RepoNotFound`. */
export function getLatestCommit(view: RelayView): Endpoint {
  return {
    nsid: mainSchema.nsid,
    method: 'GET',
    answer({ query }) {
      const params = readParams(mainSchema.nsid, mainSchema.params, query)
      if (!params.ok) return invalidRequest(params.detail)
      const account = view.account(params.value.did)
      if (account === null) return repoNotFound(params.value.did)
      const inactive = inactiveError(account)
      if (inactive !== null) return inactive
      if (account.head === undefined || account.rev === undefined) return repoNotFound(account.did)
      return jsonAnswer({ cid: account.head, rev: account.rev })
    },
  }
}
