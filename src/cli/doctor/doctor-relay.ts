/** The relay's view of a host and an account, held against their own. */

import { isCallError } from '../../client/calls/call-error.ts'
import type { SyncClient } from '../../client/calls/sync-client.ts'
import type { ListedHost } from '../../client/calls/sync-types.ts'
import { sleep } from '../../lib/clock.ts'
import { type AccountView, callFailure, statusText, viewAccount } from '../network/account-view.ts'
import type { RelayProblemCode } from './doctor-account-problems.ts'
import { revMs } from './doctor-account.ts'
import type { CheckedHost, DoctorContext } from './doctor-context.ts'
import { bad, type Finding, good, type StepFacts } from './doctor-report.ts'
import { lookAfter } from './doctor-stream.ts'
import { countOf, formatDuration } from '../shared/output.ts'

/** Older events than these must have reached a relay that keeps up, ms. */
const LAG_MS_MAX = 60_000
/** A relay that was just behind is asked again so often, after a pause. */
const HEAD_TRIES = 4
const HEAD_PAUSE_MS = 1_000

/** What the relay makes of the host. */
export async function checkRelayHost(
  relay: SyncClient,
  hostname: string,
): Promise<Finding<ListedHost>> {
  let host: ListedHost
  try {
    host = await relay.getHostStatus({ hostname })
  } catch (error) {
    const detail = callFailure(error)
    const code = isCallError(error) ? error.code : null
    const facts = { code }
    if (code === 'HostNotFound') return bad('relay-host-unknown', detail, facts)
    if (code === 'HostBanned') return bad('relay-host-banned', detail, facts)
    const isAway = isCallError(error) && error.kind === 'retryable'
    return bad(isAway ? 'relay-unreachable' : 'relay-host-status-unknown', detail, facts)
  }
  const { status, seq, accountCount } = host
  const facts: StepFacts = {
    status: status ?? null,
    seq: seq ?? null,
    accountCount: accountCount ?? null,
  }
  const accounts = accountCount === undefined ? '' : `, ${countOf(accountCount, 'account')}`
  const detail = `${status ?? 'no status'}${seq === undefined ? '' : `, seq ${seq}`}${accounts}`
  if (status === 'banned') return bad('relay-host-banned', detail, facts)
  const problem = status === undefined ? 'relay-host-status-unknown' : OF_STATUS.get(status)
  return problem === undefined ? good(host, detail, facts) : bad(problem, detail, facts, host)
}

/** Statuses of a host that are a finding; a word that is not known here is none. */
const OF_STATUS: ReadonlyMap<string, RelayProblemCode> = new Map([
  ['throttled', 'relay-host-throttled'],
  ['offline', 'relay-host-offline'],
  ['idle', 'relay-host-idle'],
])

/** What waits at the host after the seq that the relay has reached. */
export async function checkRelayLag(
  ctx: DoctorContext,
  host: CheckedHost,
  relaySeq: number,
  liveSeq: number | null,
): Promise<Finding<true>> {
  const seen = await lookAfter(ctx, host, relaySeq)
  const { events, firstAgeMs, isFuture, error } = seen
  const facts = { relaySeq, liveSeq, waiting: events, oldestMs: firstAgeMs }
  // Seqs that the host gives out now, well below what the relay holds, are of another sequence.
  const isBelow = liveSeq !== null && liveSeq < relaySeq && events === 0
  if (isFuture || isBelow) {
    const at = liveSeq === null ? '' : `, the host is at ${liveSeq}`
    return bad('relay-ahead', `the relay is at seq ${relaySeq}${at}`, facts)
  }
  if (error !== null) return bad('relay-behind', `after seq ${relaySeq}: ${error}`, facts)
  if (firstAgeMs === null) return good(true, `nothing waits after seq ${relaySeq}`, facts)
  const age = formatDuration(Math.max(0, firstAgeMs))
  const detail = `the first event after seq ${relaySeq} is ${age} old`
  return firstAgeMs > LAG_MS_MAX
    ? bad('relay-behind', detail, facts, true)
    : good(true, `${detail}: the relay keeps up`, facts)
}

/** The account's status at the relay against that at its host. */
export async function checkRelayAccount(
  relay: SyncClient,
  did: string,
  atHost: AccountView | null,
): Promise<Finding<AccountView>> {
  const view = await viewAccount(relay, 'relay', did)
  const { status, rev } = view
  const facts = { did, status, rev, hostStatus: atHost?.status ?? null }
  const isActiveAtHost = atHost === null || atHost.status === 'active'
  if (status === 'unknown') {
    return bad('relay-account-no-answer', callFailure(view.error), facts)
  }
  if (status === 'active') {
    if (isActiveAtHost) return good(view, `${did} is active`, facts)
    const detail = `active, ${atHost.status} at its host`
    return bad('relay-account-active', detail, facts, view)
  }
  const detail = `${did} is ${statusText(view)}`
  if (!isActiveAtHost) return good(view, `${detail}, as at its host`, facts)
  if (status === 'not-found') return bad('relay-account-unknown', detail, facts)
  if (status === 'throttled') return bad('relay-account-throttled', detail, facts)
  if (status === 'takendown') return bad('relay-account-takendown', detail, facts)
  return bad('relay-account-inactive', detail, facts)
}

/** The commit at the relay against that at the host, with time for one that is on its way. */
export async function checkRelayHead(
  ctx: DoctorContext,
  relay: SyncClient,
  endpoint: string,
  did: string,
): Promise<Finding<true>> {
  const host = ctx.hostClient(endpoint)
  const wanted = await viewAccount(host, 'host', did)
  let atRelay = await viewAccount(relay, 'relay', did)
  for (let tries = 1; tries < HEAD_TRIES && isBehind(atRelay, wanted); tries++) {
    await sleep(ctx.clock, HEAD_PAUSE_MS, ctx.signal)
    atRelay = await viewAccount(relay, 'relay', did)
  }
  // The host may have gone on while the relay was asked.
  const now = atRelay.rev === wanted.rev ? wanted : await viewAccount(host, 'host', did)
  const facts = { relayRev: atRelay.rev, hostRev: now.rev, relayCommit: atRelay.commit }
  if (wanted.rev === null || now.rev === null) {
    return bad('relay-head-unknown', 'the host shows no rev', facts, true)
  }
  if (atRelay.rev === null) return bad('relay-head-behind', 'the relay has no commit', facts, true)
  const revs = `relay ${atRelay.rev}, host ${now.rev}`
  if (isBehind(atRelay, wanted)) {
    const behindMs = revMs(now.rev) - revMs(atRelay.rev)
    const detail = `${revs}: ${formatDuration(behindMs)} apart`
    return bad('relay-head-behind', detail, facts, true)
  }
  if (atRelay.rev > now.rev) return bad('relay-head-ahead', revs, facts, true)
  const isOther =
    atRelay.rev === now.rev && atRelay.commit !== null && atRelay.commit !== now.commit
  if (isOther) {
    const detail = `rev ${now.rev}: relay ${atRelay.commit ?? ''}, host ${now.commit ?? 'none'}`
    return bad('relay-head-differs', detail, facts, true)
  }
  return good(true, `both at rev ${atRelay.rev}`, facts)
}

function isBehind(atRelay: AccountView, wanted: AccountView): boolean {
  return wanted.rev !== null && (atRelay.rev === null || atRelay.rev < wanted.rev)
}
