/** com.atproto.sync.getLatestCommit of a host */

import { mainSchema } from '@atcute/atproto/types/sync/getLatestCommit'

import { cidToString } from '../data/cid.ts'
import type { HostView } from '../repo-host/host-view.ts'
import type { Endpoint } from './endpoint.ts'
import { refusedRepo } from './host-repo.ts'
import { repoNotFound } from './repo-errors.ts'
import { invalidRequest, jsonAnswer } from './xrpc-error.ts'
import { readParams } from './xrpc-params.ts'

/** The newest commit. */
export function hostGetLatestCommit(view: HostView): Endpoint {
  return {
    nsid: mainSchema.nsid,
    method: 'GET',
    answer({ query }) {
      const params = readParams(mainSchema.nsid, mainSchema.params, query)
      if (!params.ok) return invalidRequest(params.detail)
      const { did } = params.value
      const refused = refusedRepo(view, did)
      if (refused !== null) return refused
      const head = view.latestCommit(did)
      return head === null
        ? repoNotFound(did)
        : jsonAnswer({ cid: cidToString(head.commit), rev: head.rev })
    },
  }
}
