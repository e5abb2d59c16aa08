/** com.atproto.sync.getRecord of a host */

import { mainSchema } from '@atcute/atproto/types/sync/getRecord'

import { encodeCar } from '../data/car-stream.ts'
import type { Endpoint } from './endpoint.ts'
import { type AnswerParts, carAnswer } from './held-answers.ts'
import { refusedRepo } from './host-repo.ts'
import { repoNotFound } from './repo-errors.ts'
import { invalidRequest } from './xrpc-error.ts'
import { readParams } from './xrpc-params.ts'

/**
 * What stands at a path, with its proof: commit first, then tree nodes from the root down, then the
 * record. Where no record stands the answer is the proof of that, with status 200: an error could
 * not be verified. `RecordNotFound`, which the lexicon declares, is therefore never said.
 */
export function hostGetRecord(parts: AnswerParts): Endpoint {
  const { view } = parts
  return {
    nsid: mainSchema.nsid,
    method: 'GET',
    answer(call) {
      const params = readParams(mainSchema.nsid, mainSchema.params, call.query)
      if (!params.ok) return invalidRequest(params.detail)
      const { did, collection, rkey } = params.value
      const refused = refusedRepo(view, did)
      if (refused !== null) return refused
      const proof = view.recordProof(did, `${collection}/${rkey}`)
      if (proof === null) return repoNotFound(did)
      return carAnswer(parts, call, mainSchema.nsid, encodeCar([proof.root], proof.blocks))
    },
  }
}
