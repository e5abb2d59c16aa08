/** com.atproto.sync.listHosts */

import { mainSchema } from '@atcute/atproto/types/sync/listHosts'

import type { RelayView } from '../relay/relay-view.ts'
import type { Endpoint } from './endpoint.ts'
import { hostBody } from './get-host-status.ts'
import { invalidRequest, jsonAnswer } from './xrpc-error.ts'
import { cursorOf, readParams } from './xrpc-params.ts'

/** Every known host, whatever its status, in order of first sight. */
export function listHosts(view: RelayView): Endpoint {
  return {
    nsid: mainSchema.nsid,
    method: 'GET',
    answer({ query }) {
      const params = readParams(mainSchema.nsid, mainSchema.params, query)
      if (!params.ok) return invalidRequest(params.detail)
      const page = view.listHosts(params.value.limit, cursorOf(params.value))
      if (page === 'invalid-cursor') return invalidRequest('Malformed cursor')
      return jsonAnswer({ cursor: page.cursor, hosts: page.items.map(hostBody) })
    },
  }
}
