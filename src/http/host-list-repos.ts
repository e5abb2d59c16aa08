/** com.atproto.sync.listRepos of a host */

import { mainSchema } from '@atcute/atproto/types/sync/listRepos'

import { cidToString } from '../data/cid.ts'
import type { HostView } from '../repo-host/host-view.ts'
import type { Endpoint } from './endpoint.ts'
import { invalidRequest, jsonAnswer } from './xrpc-error.ts'
import { cursorOf, readParams } from './xrpc-params.ts'

/** Repositories that have a commit, served or not, in order of creation. */
export function hostListRepos(view: HostView): Endpoint {
  return {
    nsid: mainSchema.nsid,
    method: 'GET',
    answer({ query }) {
      const params = readParams(mainSchema.nsid, mainSchema.params, query)
      if (!params.ok) return invalidRequest(params.detail)
      const page = view.listRepos(params.value.limit, cursorOf(params.value))
      if (page === 'invalid-cursor') return invalidRequest('Malformed cursor')
      const repos = page.items.map(({ did, head, rev, active, status }) => {
        return { did, head: cidToString(head), rev, active, status }
      })
      return jsonAnswer({ cursor: page.cursor, repos })
    },
  }
}
