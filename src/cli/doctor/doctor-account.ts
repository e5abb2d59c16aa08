/** The account itself: handle, DID document, what its host says, and who signed. */

import { isCallError } from '../../client/calls/call-error.ts'
import type { Identity } from '../../identity/identity.ts'
import { REV_AHEAD_MS_MAX } from '../../lib/limits.ts'
import { type Did, parseAtprotoDid } from '../../syntax/did.ts'
import { parseTid, tidMicros } from '../../syntax/tid.ts'
import { type AccountView, callFailure, statusText, viewAccount } from '../network/account-view.ts'
import type { DoctorContext } from './doctor-context.ts'
import { bad, type Finding, good } from './doctor-report.ts'
import type { HandleOutcome } from '../shared/handle-resolver.ts'

/** A record that nearly every account has; its absence is proven as well. */
const PROVEN_COLLECTION = 'app.bsky.actor.profile'
const PROVEN_KEY = 'self'

/** From the handle to the DID. */
export async function checkHandle(ctx: DoctorContext, handle: string): Promise<Finding<Did>> {
  const outcome = await ctx.resolveHandle(handle)
  const facts = handleFacts(outcome)
  if (outcome.did === null) return bad('handle-not-found', handleDetail(outcome), facts)
  return good(outcome.did, `${handle} is ${String(outcome.did)}, by ${viaText(outcome)}`, facts)
}

/** From the document's handle back to the DID. */
export async function checkHandleOf(
  ctx: DoctorContext,
  did: string,
  handle: string,
): Promise<Finding<true>> {
  const outcome = await ctx.resolveHandle(handle)
  const facts = handleFacts(outcome)
  if (outcome.did === did) {
    return good(true, `${handle} leads back to the account, by ${viaText(outcome)}`, facts)
  }
  const { did: other } = outcome
  const detail = other === null ? handleDetail(outcome) : `${handle} leads to ${other} instead`
  return bad('handle-not-confirmed', detail, facts, true)
}

function viaText({ via }: HandleOutcome): string {
  return via === 'dns' ? 'DNS' : 'its web server'
}

function handleFacts({ handle, did, via }: HandleOutcome): Record<string, string | null> {
  return { handle, did, via }
}

/** What both ways said, in one line. */
export function handleDetail({ dns, https }: HandleOutcome): string {
  const answers = [dns, https].flatMap((answer) =>
    answer === null || answer.kind === 'did' ? [] : [answer.detail],
  )
  // Fields of errors, which the text before them has said in words.
  return answers.map((answer) => answer.replace(/; why=.*$/, '')).join('; ')
}

/** The document, fetched anew: key and host must be there. */
export async function checkDidDocument(
  ctx: DoctorContext,
  did: string,
): Promise<Finding<Identity>> {
  if (parseAtprotoDid(did) === null) return bad('did-not-found', `${did} is no DID of atproto`)
  const found = await ctx.identities.refresh(did, { signal: ctx.signal })
  if (!found.ok) {
    const problem = found.reason === 'identity-missing' ? 'did-not-found' : 'did-unresolved'
    return bad(problem, found.detail, { reason: found.reason })
  }
  const { identity } = found
  const { signingKey, pdsEndpoint, handle } = identity
  const facts = { handle, host: pdsEndpoint, curve: signingKey?.curve ?? null }
  const shown = `host ${pdsEndpoint ?? 'none'}, handle ${handle ?? 'none'}`
  if (found.stale) return bad('did-unresolved', 'no directory answers', facts)
  if (signingKey === null) return bad('did-no-key', shown, facts, identity)
  if (pdsEndpoint === null) return bad('did-no-host', shown, facts)
  return good(identity, `${shown}, ${signingKey.curve} key`, facts)
}

/** What the host says of the account. */
export async function checkAccountAtHost(
  ctx: DoctorContext,
  endpoint: string,
  did: string,
): Promise<Finding<AccountView>> {
  const view = await viewAccount(ctx.hostClient(endpoint), 'host', did)
  const { status, rev, commit } = view
  const facts = { status, rev, commit }
  if (status === 'not-found') return bad('account-not-at-host', 'RepoNotFound', facts)
  if (status === 'unknown') {
    return bad('account-status-unknown', callFailure(view.error), facts)
  }
  if (status !== 'active') return bad('account-inactive', statusText(view), facts, view)
  if (rev === null || commit === null) {
    return bad('account-without-commit', 'active, getLatestCommit has none', facts, view)
  }
  const aheadMs = revMs(rev) - ctx.clock.nowMs()
  if (aheadMs > REV_AHEAD_MS_MAX) {
    const detail = `rev ${rev} is ${Math.round(aheadMs / 1_000)} s ahead of this clock`
    return bad('rev-in-future', detail, facts, view)
  }
  return good(view, `active at rev ${rev}`, facts)
}

/** When a rev was made, ms since the epoch; 0 for text that is none. */
export function revMs(rev: string): number {
  const tid = parseTid(rev)
  return tid === null ? 0 : tidMicros(tid) / 1_000
}

/** Asks for a proof, whose commit must be signed with the document's key. */
export async function checkHeadSignature(
  ctx: DoctorContext,
  endpoint: string,
  did: string,
): Promise<Finding<true>> {
  const record = { did, collection: PROVEN_COLLECTION, rkey: PROVEN_KEY }
  try {
    const { rev, cid } = await ctx.hostClient(endpoint).verified.getRecord(record)
    const what = `${PROVEN_COLLECTION}/${PROVEN_KEY} is ${cid === null ? 'not there' : 'there'}`
    return good(true, `rev ${rev} is signed with the document's key; ${what}`, { rev })
  } catch (error) {
    const reason = isCallError(error) ? error.reason : null
    const problem =
      reason?.startsWith('signature-') === true ? 'head-not-signed' : 'head-not-proven'
    return bad(problem, callFailure(error), { reason })
  }
}
