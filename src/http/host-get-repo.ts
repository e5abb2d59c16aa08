/** com.atproto.sync.getRepo of a host, and the deprecated com.atproto.sync.getCheckout */

import { mainSchema as getCheckout } from '@atcute/atproto/types/sync/getCheckout'
import { mainSchema as getRepo } from '@atcute/atproto/types/sync/getRepo'

import type { HostView } from '../repo-host/host-view.ts'
import { type BodyStreams, streamBody } from './body-stream.ts'
import type { Endpoint, XrpcCall } from './endpoint.ts'
import { ExportSlots } from './export-slots.ts'
import { CAR_TYPE, refusedRepo, retryLater } from './host-repo.ts'
import type { HttpMetrics } from './http-metrics.ts'
import { repoNotFound } from './repo-errors.ts'
import { invalidRequest } from './xrpc-error.ts'
import { readParams } from './xrpc-params.ts'

export interface ExportParts {
  readonly view: HostView
  readonly streams: BodyStreams
  readonly metrics: Pick<HttpMetrics, 'httpLimited'>
  readonly exportsPerAddressMax: number
  readonly onExportRefused: ((limit: 'host' | 'address') => void) | undefined
}

/**
 * Both calls: a repository as a CAR in streamable order, of one state, whatever is written
 * meanwhile; with `since`, what is new after that rev.
 */
export function hostRepoEndpoints(parts: ExportParts): readonly Endpoint[] {
  const slots = new ExportSlots(parts.exportsPerAddressMax)
  return [
    {
      nsid: getRepo.nsid,
      method: 'GET',
      answer(call) {
        const params = readParams(getRepo.nsid, getRepo.params, call.query)
        if (!params.ok) return invalidRequest(params.detail)
        const { did, since = null } = params.value
        return exportRepo(parts, slots, call, { nsid: getRepo.nsid, did, since })
      },
    },
    {
      nsid: getCheckout.nsid,
      method: 'GET',
      answer(call) {
        const params = readParams(getCheckout.nsid, getCheckout.params, call.query)
        if (!params.ok) return invalidRequest(params.detail)
        const { did } = params.value
        return exportRepo(parts, slots, call, { nsid: getCheckout.nsid, did, since: null })
      },
    },
  ]
}

interface Wanted {
  readonly nsid: string
  readonly did: string
  readonly since: string | null
}

async function exportRepo(
  { view, streams, metrics, onExportRefused }: ExportParts,
  slots: ExportSlots,
  { method, address, cut }: XrpcCall,
  { nsid, did, since }: Wanted,
): Promise<Response> {
  const refused = refusedRepo(view, did)
  if (refused !== null) return refused
  const headers = { 'content-type': CAR_TYPE }
  if (method === 'HEAD') return new Response(null, { headers })
  const opened = view.repoCar(did, since)
  if (opened === null) return repoNotFound(did)
  if (opened === 'busy') {
    onExportRefused?.('host')
    return retryLater(503, 'Busy', 'Too many exports are being read')
  }
  if (!slots.take(address)) {
    opened.close()
    onExportRefused?.('address')
    metrics.httpLimited.add(1, { limit: 'export' })
    return retryLater(429, 'RateLimitExceeded', 'This address is reading too many exports')
  }
  const source = {
    chunks: opened.chunks,
    length: null,
    close() {
      opened.close()
      slots.release(address)
    },
  }
  try {
    return new Response(await streamBody(source, { nsid, cut }, streams), { headers })
  } catch (error) {
    // The account may have stopped being served since the export was opened.
    const gone = refusedRepo(view, did)
    if (gone !== null) return gone
    throw error
  }
}
