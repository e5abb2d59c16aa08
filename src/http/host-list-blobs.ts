/** com.atproto.sync.listBlobs of a host */

import { mainSchema } from '@atcute/atproto/types/sync/listBlobs'

import { cidToString } from '../data/cid.ts'
import type { HostView } from '../repo-host/host-view.ts'
import type { Endpoint } from './endpoint.ts'
import { refusedRepo } from './host-repo.ts'
import { invalidRequest, jsonAnswer } from './xrpc-error.ts'
import { cursorOf, readParams } from './xrpc-params.ts'

/** Blobs that records of the repository refer to, and that can be had here. */
export function hostListBlobs(view: HostView): Endpoint {
  return {
    nsid: mainSchema.nsid,
    method: 'GET',
    answer({ query }) {
      const params = readParams(mainSchema.nsid, mainSchema.params, query)
      if (!params.ok) return invalidRequest(params.detail)
      const { did, limit, since = null } = params.value
      const refused = refusedRepo(view, did)
      if (refused !== null) return refused
      const page = view.listBlobs(did, { limit, cursor: cursorOf(params.value), since })
      if (page === 'invalid-cursor') return invalidRequest('Malformed cursor')
      return jsonAnswer({ cursor: page.cursor, cids: page.items.map(cidToString) })
    },
  }
}
