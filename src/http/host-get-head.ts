/** com.atproto.sync.getHead of a host */

import { mainSchema } from '@atcute/atproto/types/sync/getHead'

import { cidToString } from '../data/cid.ts'
import type { HostView } from '../repo-host/host-view.ts'
import type { Endpoint } from './endpoint.ts'
import { repoRefused } from './repo-errors.ts'
import { invalidRequest, jsonAnswer, xrpcError } from './xrpc-error.ts'
import { readParams } from './xrpc-params.ts'

/**
 * The CID of the newest commit; deprecated in favour of getLatestCommit. The one error that its
 * lexicon declares stands for a repository that is not there.
 */
export function hostGetHead(view: HostView): Endpoint {
  return {
    nsid: mainSchema.nsid,
    method: 'GET',
    answer({ query }) {
      const params = readParams(mainSchema.nsid, mainSchema.params, query)
      if (!params.ok) return invalidRequest(params.detail)
      const { did } = params.value
      const availability = view.availability(did)
      const head = availability === 'active' ? view.latestCommit(did) : null
      if (head !== null) return jsonAnswer({ root: cidToString(head.commit) })
      return availability === 'active' || availability === 'RepoNotFound'
        ? xrpcError(400, 'HeadNotFound', `Could not find root for DID: ${did}`)
        : repoRefused(availability, did)
    },
  }
}
