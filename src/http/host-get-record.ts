/** com.atproto.sync.getRecord of a host */

import { mainSchema } from '@atcute/atproto/types/sync/getRecord'

import { encodeCar } from '../data/car-stream.ts'
import type { HostView } from '../repo-host/host-view.ts'
import type { Endpoint } from './endpoint.ts'
import { carAnswer, refusedRepo } from './host-repo.ts'
import { repoNotFound } from './repo-errors.ts'
import { invalidRequest } from './xrpc-error.ts'
import { readParams } from './xrpc-params.ts'

/**
 * What stands at a path, with its proof: commit first, then tree nodes from the root down, then the
 * record. Where no record stands the answer is the proof of that, with status 200: an error could
 * not be verified. `RecordNotFound`, which the lexicon declares, is therefore never said.
 */
export function hostGetRecord(view: HostView): Endpoint {
  return {
    nsid: mainSchema.nsid,
    method: 'GET',
    answer({ query }) {
      const params = readParams(mainSchema.nsid, mainSchema.params, query)
      if (!params.ok) return invalidRequest(params.detail)
      const { did, collection, rkey } = params.value
      const refused = refusedRepo(view, did)
      if (refused !== null) return refused
      const proof = view.recordProof(did, `${collection}/${rkey}`)
      return proof === null ? repoNotFound(did) : carAnswer(encodeCar([proof.root], proof.blocks))
    },
  }
}
