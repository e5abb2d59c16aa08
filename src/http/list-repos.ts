/** com.atproto.sync.listRepos */

import { mainSchema } from '@atcute/atproto/types/sync/listRepos'

import type { RelayView } from '../relay/relay-view.ts'
import type { Endpoint } from './endpoint.ts'
import { invalidRequest, jsonAnswer } from './xrpc-error.ts'
import { cursorOf, readParams } from './xrpc-params.ts'

/** Accounts whose head is known, active or not, in order of first sight. */
export function listRepos(view: RelayView): Endpoint {
  return {
    nsid: mainSchema.nsid,
    method: 'GET',
    answer({ query }) {
      const params = readParams(mainSchema.nsid, mainSchema.params, query)
      if (!params.ok) return invalidRequest(params.detail)
      const page = view.listAccounts(params.value.limit, cursorOf(params.value))
      if (page === 'invalid-cursor') return invalidRequest('Malformed cursor')
      const repos = page.items.flatMap(({ did, head, rev, active, status }) =>
        head === undefined || rev === undefined ? [] : [{ did, head, rev, active, status }],
      )
      return jsonAnswer({ cursor: page.cursor, repos })
    },
  }
}
