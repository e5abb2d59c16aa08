/** com.atproto.sync.getHostStatus */

import { mainSchema } from '@atcute/atproto/types/sync/getHostStatus'

import type { HostView, RelayView } from '../relay/relay-view.ts'
import type { Endpoint } from './endpoint.ts'
import { invalidRequest, jsonAnswer, xrpcError } from './xrpc-error.ts'
import { readParams } from './xrpc-params.ts'

/** The state of one host. The name is compared in lower case. */
export function getHostStatus(view: RelayView): Endpoint {
  return {
    nsid: mainSchema.nsid,
    method: 'GET',
    answer({ query }) {
      const params = readParams(mainSchema.nsid, mainSchema.params, query)
      if (!params.ok) return invalidRequest(params.detail)
      const host = view.host(params.value.hostname.trim().toLowerCase())
      return host === null
        ? xrpcError(400, 'HostNotFound', 'This host is not known here')
        : jsonAnswer(hostBody(host))
    },
  }
}

/** A host as both lexicons show it. */
export function hostBody(host: HostView): HostView {
  const { hostname, seq, accountCount, status } = host
  return seq === undefined
    ? { hostname, accountCount, status }
    : { hostname, seq, accountCount, status }
}
