/**
 * The chain that a relay walks from a name to a verified event, and back: each step once, in order,
 * with what stands in the way. What follows from a failed step is skipped; what does not is walked
 * all the same, so that one run shows as much as can be seen.
 */

import type { Identity } from '../../identity/identity.ts'
import type { AccountView } from '../network/account-view.ts'
import {
  checkAccountAtHost,
  checkDidDocument,
  checkHandle,
  checkHandleOf,
  checkHeadSignature,
} from './doctor-account.ts'
import { checkConnect, checkName } from './doctor-connect.ts'
import type { CheckedHost, DoctorContext } from './doctor-context.ts'
import { checkDescribeServer, checkListRepos } from './doctor-http.ts'
import { checkRelayAccount, checkRelayHead, checkRelayHost, checkRelayLag } from './doctor-relay.ts'
import type { Checklist } from './doctor-report.ts'
import {
  checkFirstCommit,
  checkFirstFrame,
  checkHostMatch,
  checkWebSocket,
  type SeenAuthor,
} from './doctor-stream.ts'
import type { DoctorStepName } from './doctor-steps.ts'

/** Whom it is about. */
export type DoctorTarget =
  | { readonly kind: 'host'; readonly host: string }
  | { readonly kind: 'did'; readonly did: string }
  | { readonly kind: 'handle'; readonly handle: string }

/** Walks the whole chain; what was found is in `list`. Never rejects but for defects. */
export async function diagnose(
  ctx: DoctorContext,
  target: DoctorTarget,
  list: Checklist,
): Promise<void> {
  const account = target.kind === 'host' ? null : await walkAccount(ctx, target, list)
  if (target.kind !== 'host' && account === null) return
  const text = target.kind === 'host' ? target.host : (account?.identity.pdsEndpoint ?? '')
  const seen = await walkHost(ctx, text, list)
  const { host } = seen
  const endpoint = host?.address.endpoint ?? account?.identity.pdsEndpoint ?? null
  let atHost: AccountView | null = null
  if (account !== null && endpoint !== null) {
    atHost = await walkAccountAtHost(ctx, { account, endpoint, isReached: seen.isReached }, list)
  }
  const did = account?.did ?? seen.author?.did ?? null
  for (const relay of ctx.relays) {
    await walkRelay(ctx, { relay, did, atHost, ...seen }, list)
  }
}

interface WalkedAccount {
  readonly did: string
  readonly identity: Identity
}

async function walkAccount(
  ctx: DoctorContext,
  target: Exclude<DoctorTarget, { kind: 'host' }>,
  list: Checklist,
): Promise<WalkedAccount | null> {
  const did =
    target.kind === 'did'
      ? target.did
      : await list.check('handle', target.handle, () => checkHandle(ctx, target.handle))
  if (did === null) return null
  const identity = await list.check('did-document', did, () => checkDidDocument(ctx, did))
  if (identity === null) return null
  const { handle } = identity
  if (target.kind === 'handle' && handle === target.handle) return { did, identity }
  if (handle === null) list.skip('handle', did, 'the document claims none')
  else await list.check('handle', handle, () => checkHandleOf(ctx, did, handle))
  return { did, identity }
}

interface WalkedHost {
  /** Null when its name is not usable. */
  readonly host: CheckedHost | null
  /** Whether it takes connections. */
  readonly isReached: boolean
  /** Somebody whose commit in its stream verified. */
  readonly author: SeenAuthor | null
  readonly liveSeq: number | null
}

const STEPS_BEHIND_CONNECT: readonly DoctorStepName[] = [
  'describe-server',
  'list-repos',
  'websocket',
  'first-frame',
  'first-commit',
  'host-match',
]

async function walkHost(ctx: DoctorContext, text: string, list: Checklist): Promise<WalkedHost> {
  const none = { isReached: false, author: null, liveSeq: null }
  const shown = text.replace(/^[a-z]+:\/\//i, '').replace(/\/$/, '')
  const host = await list.check('name', shown, () => checkName(ctx, text))
  if (host === null) {
    skipAll(list, ['connect', ...STEPS_BEHIND_CONNECT], shown, 'the name is not usable')
    return { host: null, ...none }
  }
  const subject = host.address.hostname
  const isReached = await list.check('connect', subject, () => checkConnect(ctx, host))
  if (isReached === null) {
    skipAll(list, STEPS_BEHIND_CONNECT, subject, 'the host was not reached')
    return { host, ...none }
  }
  await list.check('describe-server', subject, () => checkDescribeServer(ctx, host))
  await list.check('list-repos', subject, () => checkListRepos(ctx, host))
  return { host, isReached: true, ...(await walkStream(ctx, host, list)) }
}

async function walkStream(
  ctx: DoctorContext,
  host: CheckedHost,
  list: Checklist,
): Promise<Pick<WalkedHost, 'author' | 'liveSeq'>> {
  const subject = host.address.hostname
  const live = await list.check('websocket', subject, () => checkWebSocket(ctx, host))
  if (live === null) {
    const behind = ['first-frame', 'first-commit', 'host-match'] as const
    skipAll(list, behind, subject, 'there is no stream')
    return { author: null, liveSeq: null }
  }
  const stream = await list.check('first-frame', subject, () => checkFirstFrame(ctx, host, live))
  if (stream === null || stream.messages.length === 0) {
    const why = stream === null ? 'the stream is broken' : 'the stream is quiet'
    skipAll(list, ['first-commit', 'host-match'], subject, why)
    return { author: null, liveSeq: stream?.liveSeq ?? null }
  }
  const { liveSeq } = stream
  const commits = await list.check('first-commit', subject, () => checkFirstCommit(ctx, stream))
  if (commits === null || commits.authors.length === 0) {
    list.skip('host-match', subject, 'no account of the stream is known')
    return { author: null, liveSeq }
  }
  await list.check('host-match', subject, async () =>
    checkHostMatch(host, commits, ctx.clock.nowMs()),
  )
  const { hostname } = host.address
  const author = commits.verified.find(({ identity }) => identity.pdsHostname === hostname) ?? null
  return { author, liveSeq }
}

async function walkAccountAtHost(
  ctx: DoctorContext,
  at: {
    readonly account: WalkedAccount
    readonly endpoint: string
    readonly isReached: boolean
  },
  list: Checklist,
): Promise<AccountView | null> {
  const { endpoint } = at
  const { did } = at.account
  if (!at.isReached) {
    skipAll(list, ['account-at-host', 'head-signature'], did, 'the host was not reached')
    return null
  }
  const view = await list.check('account-at-host', did, () =>
    checkAccountAtHost(ctx, endpoint, did),
  )
  if (view?.status !== 'active' || view.commit === null) {
    list.skip('head-signature', did, 'the host shows no commit')
    return view
  }
  await list.check('head-signature', did, () => checkHeadSignature(ctx, endpoint, did))
  return view
}

interface RelayWalk extends WalkedHost {
  readonly relay: DoctorContext['relays'][number]
  /** The account that is asked for: the one that was named, or an author of the stream. */
  readonly did: string | null
  readonly atHost: AccountView | null
}

async function walkRelay(ctx: DoctorContext, walk: RelayWalk, list: Checklist): Promise<void> {
  const { relay, host, did, atHost, liveSeq } = walk
  const subject = relay.service
  if (host === null) {
    const all = ['relay-host', 'relay-lag', 'relay-account', 'relay-head'] as const
    skipAll(list, all, subject, 'there is no host name to ask for')
    return
  }
  const { hostname, endpoint } = host.address
  const known = await list.check('relay-host', subject, () => checkRelayHost(relay, hostname))
  const relaySeq = known?.seq ?? null
  if (relaySeq === null || !walk.isReached) {
    list.skip('relay-lag', subject, relaySeq === null ? 'no seq is known' : 'no stream to look at')
  } else {
    await list.check('relay-lag', subject, () => checkRelayLag(ctx, host, relaySeq, liveSeq))
  }
  if (did === null) {
    skipAll(list, ['relay-account', 'relay-head'], subject, 'no account is known to ask for')
    return
  }
  const view = await list.check('relay-account', subject, () =>
    checkRelayAccount(relay, did, atHost),
  )
  const isActive = view?.status === 'active' && (atHost === null || atHost.status === 'active')
  if (!isActive || !walk.isReached) {
    list.skip('relay-head', subject, 'the account is not active at both')
    return
  }
  await list.check('relay-head', subject, () => checkRelayHead(ctx, relay, endpoint, did))
}

function skipAll(
  list: Checklist,
  steps: readonly DoctorStepName[],
  subject: string,
  why: string,
): void {
  for (const step of steps) list.skip(step, subject, why)
}
