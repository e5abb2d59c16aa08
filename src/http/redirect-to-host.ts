/**
 * What only the account's current host can answer: getRepo, getRecord, getBlocks, getBlob,
 * listBlobs, and the deprecated getCheckout and getHead. The relay answers 302 with the query
 * string unchanged.
 */

import { mainSchema as getBlob } from '@atcute/atproto/types/sync/getBlob'
import { mainSchema as getBlocks } from '@atcute/atproto/types/sync/getBlocks'
import { mainSchema as getCheckout } from '@atcute/atproto/types/sync/getCheckout'
import { mainSchema as getHead } from '@atcute/atproto/types/sync/getHead'
import { mainSchema as getRecord } from '@atcute/atproto/types/sync/getRecord'
import { mainSchema as getRepo } from '@atcute/atproto/types/sync/getRepo'
import { mainSchema as listBlobs } from '@atcute/atproto/types/sync/listBlobs'

import type { RelayView } from '../relay/relay-view.ts'
import type { Endpoint, XrpcCall } from './endpoint.ts'
import { inactiveError, repoNotFound } from './repo-errors.ts'
import { invalidRequest } from './xrpc-error.ts'
import { readParams } from './xrpc-params.ts'

const SCHEMAS = [getBlob, getBlocks, getCheckout, getHead, getRecord, getRepo, listBlobs] as const

/** One endpoint for each of the calls above. */
export function redirectEndpoints(view: RelayView): readonly Endpoint[] {
  return SCHEMAS.map((schema) => ({
    nsid: schema.nsid,
    method: 'GET',
    answer(call) {
      const params = readParams(schema.nsid, schema.params, call.query)
      return params.ok
        ? redirect(view, schema.nsid, params.value.did, call)
        : invalidRequest(params.detail)
    },
  }))
}

async function redirect(
  view: RelayView,
  nsid: string,
  did: string,
  call: XrpcCall,
): Promise<Response> {
  const account = view.account(did)
  const inactive = account === null ? null : inactiveError(account)
  if (inactive !== null) return inactive
  const host = account === null ? await locate(view, did, call) : account.pdsEndpoint
  if (host instanceof Response) return host
  const location = `${host}/xrpc/${nsid}${call.search}`
  return new Response(null, { status: 302, headers: { location, 'content-length': '0' } })
}

/** The only methods that atproto resolves; others would be asked for in vain. */
const RESOLVABLE = /^did:(?:plc|web):/

/** Resolving costs a request to somebody else, so that strangers get few of them. */
async function locate(view: RelayView, did: string, call: XrpcCall): Promise<string | Response> {
  if (!RESOLVABLE.test(did)) return repoNotFound(did)
  const limited = call.spend('lookup')
  if (limited !== null) return limited
  return (await view.locate(did)) ?? repoNotFound(did)
}
