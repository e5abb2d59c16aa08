/** com.atproto.sync.getBlocks of a host */

import { mainSchema } from '@atcute/atproto/types/sync/getBlocks'

import { encodeCar } from '../data/car-stream.ts'
import { cidFromString, cidToString } from '../data/cid.ts'
import type { Endpoint } from './endpoint.ts'
import { type AnswerParts, carAnswer } from './held-answers.ts'
import { refusedRepo } from './host-repo.ts'
import { invalidRequest, xrpcError } from './xrpc-error.ts'
import { readParams } from './xrpc-params.ts'

/** Blocks of the newest commit's repository by CID, in a CAR without a root. All or none. */
export function hostGetBlocks(parts: AnswerParts): Endpoint {
  const { view } = parts
  return {
    nsid: mainSchema.nsid,
    method: 'GET',
    answer(call) {
      const params = readParams(mainSchema.nsid, mainSchema.params, call.query)
      if (!params.ok) return invalidRequest(params.detail)
      const { did, cids: texts } = params.value
      const refused = refusedRepo(view, did)
      if (refused !== null) return refused
      const cids: Uint8Array[] = []
      for (const text of texts) {
        const cid = cidFromString(text)
        if (cid === null) return blockNotFound([text])
        cids.push(cid)
      }
      const found = view.blocks(did, cids)
      if (found.kind === 'missing') return blockNotFound(found.cids.map(cidToString))
      if (found.kind === 'found') {
        return carAnswer(parts, call, mainSchema.nsid, encodeCar([], found.blocks))
      }
      const limit = `${found.bytesMax} bytes`
      return invalidRequest(`Together these blocks are over ${limit}: ask for fewer at once`)
    },
  }
}

function blockNotFound(cids: readonly string[]): Response {
  return xrpcError(400, 'BlockNotFound', `Could not find cids: ${cids.join(',')}`)
}
