/** The stream of a host: does it open, does it carry events, do its commits verify. */

import type { Identity } from '../../identity/identity.ts'
import type { InvalidReason } from '../../lib/reasons.ts'
import { verifyCommit } from '../../repo/verify.ts'
import type { CommitBody, MessageFrame } from '../../stream/frame-types.ts'
import type { TransportClose } from '../../stream/transport.ts'
import type { CheckedHost, DoctorContext } from './doctor-context.ts'
import { bad, causeOf, type Finding, good } from './doctor-report.ts'
import { formatDuration } from '../shared/output.ts'
import { lookAtStream, type SeenMessage, type StreamLook } from './stream-look.ts'

/** Messages that one look takes. */
const MESSAGES_MAX = 300
/** Commits of as many accounts are verified; each costs a look-up. */
const AUTHORS_MAX = 5
/** A look ends after so long though messages keep coming, ms. */
const LASTS_MS = 3_000
/** Keys change, accounts move: what an old event breaks may be mended since. */
const RECENT_MS = 10 * 60_000

/** What the steps after the stream need of it. */
export interface SeenStream {
  /** In order; of the live stream, or from its beginning when that was quiet. */
  readonly messages: readonly MessageFrame[]
  /** The newest seq seen live; null when the stream was quiet. */
  readonly liveSeq: number | null
}

function look(
  ctx: DoctorContext,
  host: CheckedHost,
  cursor: number | null,
  isEnough: (seen: readonly SeenMessage[]) => boolean = hasEnough,
): Promise<StreamLook> {
  const { transport, clock, timeoutMs, quietMs, signal } = ctx
  return lookAtStream({
    transport,
    clock,
    endpoint: host.address.webSocketUrl,
    cursor,
    openTimeoutMs: timeoutMs,
    quietMs,
    lastsMs: LASTS_MS,
    messagesMax: MESSAGES_MAX,
    signal,
    isEnough,
  })
}

/** Commits of enough accounts have been seen, or something that is wrong. */
function hasEnough(seen: readonly SeenMessage[]): boolean {
  const last = seen.at(-1)
  if (last?.kind !== 'frame' || !last.parsed.ok || last.parsed.value.kind === 'error') return true
  return authorsOf(framesOf(seen)).length >= AUTHORS_MAX
}

function framesOf(seen: readonly SeenMessage[]): MessageFrame[] {
  return seen.flatMap((message) => {
    if (message.kind !== 'frame' || !message.parsed.ok) return []
    const { value } = message.parsed
    return value.kind === 'message' ? [value] : []
  })
}

/** Opens the live stream; gives what came of it. */
export async function checkWebSocket(
  ctx: DoctorContext,
  host: CheckedHost,
): Promise<Finding<StreamLook>> {
  const live = await look(ctx, host, null)
  const url = host.address.webSocketUrl
  if (live.isTimeout) return bad('websocket-timeout', `${url}: no answer`, { url })
  const { close } = live
  if (!live.opened && close !== null) return upgradeFailure(url, close)
  if (close !== null && live.messages.length === 0) {
    const detail = `${url}: closed with ${close.code} ${close.reason}`.trim()
    return bad('websocket-closed', detail, { url, code: close.code })
  }
  const tookMs = Math.round(live.openedAfterMs ?? 0)
  return good(live, `${url} opened in ${formatDuration(tookMs)}`, { url, openedAfterMs: tookMs })
}

function upgradeFailure(url: string, close: TransportClose): Finding<StreamLook> {
  const { httpStatus: status, reason } = close
  const facts = { url, status, reason }
  if (status === null) return bad('websocket-failed', `${url}: ${reason}`, facts)
  const detail = `${url}: HTTP status ${status}`
  if (status === 429) return bad('websocket-limited', detail, facts)
  if (status >= 300 && status < 400) return bad('websocket-redirect', detail, facts)
  return bad('websocket-status', detail, facts)
}

/** Looks for well-formed events: live ones, or those that the host remembers. */
export async function checkFirstFrame(
  ctx: DoctorContext,
  host: CheckedHost,
  live: StreamLook,
): Promise<Finding<SeenStream>> {
  const wrongLive = faultOf(live)
  if (wrongLive !== null) return wrongLive
  const liveFrames = framesOf(live.messages)
  const liveSeq = liveFrames.at(-1)?.seq ?? null
  const isLive = authorsOf(liveFrames).length > 0
  if (isLive) return good({ messages: liveFrames, liveSeq }, frameDetail(liveFrames, 'live'))
  const old = await look(ctx, host, 0)
  const wrongOld = faultOf(old)
  if (wrongOld !== null) return wrongOld
  const messages = [...framesOf(old.messages), ...liveFrames]
  if (messages.length === 0) {
    const value = { messages, liveSeq }
    return bad('stream-quiet', 'nothing live, and nothing from cursor 0', {}, value)
  }
  const where = liveFrames.length === 0 ? 'quiet now; from cursor 0' : 'live and from cursor 0'
  return good({ messages, liveSeq }, frameDetail(messages, where))
}

function frameDetail(frames: readonly MessageFrame[], where: string): string {
  const first = frames[0]
  const seen = `${where}: ${frames.length} ${frames.length === 1 ? 'event' : 'events'}`
  if (first === undefined) return seen
  return `${seen}, the first a ${first.type} with seq ${first.seq} of ${first.body.time}`
}

/** The first message that breaks a rule, or an error frame. */
function faultOf({ messages }: StreamLook): Finding<SeenStream> | null {
  for (const message of messages) {
    if (message.kind !== 'frame') {
      return message.kind === 'text'
        ? frameFault('frame-not-binary', 'a text message')
        : frameFault('frame-too-large', 'over 5,000,000 bytes')
    }
    const { parsed } = message
    if (!parsed.ok) return frameFault(parsed.reason, parsed.detail)
    if (parsed.value.kind === 'error') {
      const { error, message: text = '' } = parsed.value
      return bad('stream-error', `${error} ${text}`.trim(), { error })
    }
  }
  return null
}

function frameFault(reason: InvalidReason, detail: string): Finding<SeenStream> {
  return bad('frame-invalid', `${reason}: ${detail}`, { reason })
}

/** The newest commit of each account, newest first. */
function authorsOf(messages: readonly MessageFrame[]): CommitBody[] {
  const byDid = new Map<string, CommitBody>()
  for (const message of messages.toReversed()) {
    if (message.type !== '#commit' || byDid.has(message.body.repo)) continue
    byDid.set(message.body.repo, message.body)
  }
  return [...byDid.values()]
}

/** An account whose commit in the stream verifies. */
export interface SeenAuthor {
  readonly did: string
  readonly identity: Identity
}

export interface SeenCommits {
  readonly verified: readonly SeenAuthor[]
  /** Every account in the stream whose identity is known. */
  readonly authors: readonly (SeenAuthor & { readonly timeMs: number })[]
}

interface Refused {
  readonly did: string
  readonly reason: InvalidReason
  readonly detail: string
  readonly isRecent: boolean
}

/** Verifies the newest commits, each with the key that its DID document names now. */
export async function checkFirstCommit(
  ctx: DoctorContext,
  { messages }: SeenStream,
): Promise<Finding<SeenCommits>> {
  const commits = authorsOf(messages).slice(0, AUTHORS_MAX)
  if (commits.length === 0) return bad('commit-none', `${messages.length} events, no commit`)
  const verified: SeenAuthor[] = []
  const authors: (SeenAuthor & { readonly timeMs: number })[] = []
  const refused: Refused[] = []
  let unresolved = ''
  for (const commit of commits) {
    const { repo: did } = commit
    const found = await ctx.identities.refresh(did, { signal: ctx.signal })
    if (!found.ok || found.identity.signingKey === null) {
      unresolved = `${did}: ${found.ok ? 'no signing key' : found.detail}`
      continue
    }
    const { identity } = found
    const timeMs = Date.parse(commit.time)
    authors.push({ did, identity, timeMs })
    const nowMs = ctx.clock.nowMs()
    const { verifier } = ctx
    const verdict = verifyCommit(commit, { key: found.identity.signingKey, verifier, nowMs })
    if (verdict.ok) verified.push({ did, identity })
    else {
      const { reason, detail } = verdict
      refused.push({ did, reason, detail, isRecent: !(nowMs - timeMs > RECENT_MS) })
    }
  }
  return commitFinding({ verified, authors }, refused, unresolved)
}

function commitFinding(
  value: SeenCommits,
  refused: readonly Refused[],
  unresolved: string,
): Finding<SeenCommits> {
  const { verified, authors } = value
  const facts = { verified: verified.length, refused: refused.length }
  const worst = refused.find(({ isRecent }) => isRecent)
  const shown = worst ?? (verified.length === 0 ? refused[0] : undefined)
  if (shown !== undefined) {
    const { did, reason, detail } = shown
    const problem = reason === 'signature-invalid' ? 'commit-not-signed' : 'commit-invalid'
    return bad(problem, `${did}: ${reason}: ${detail}`, { ...facts, did, reason }, value)
  }
  if (authors.length === 0) return bad('commit-unresolved', unresolved, facts, value)
  const [first] = verified
  const others = verified.length - 1
  const more = others === 0 ? '' : `, and of ${others} more`
  const old = refused.length === 0 ? '' : `; ${refused.length} old ones no longer do`
  return good(value, `a commit of ${first?.did ?? ''} verifies${more}${old}`, facts)
}

/** Holds the hosts that DID documents name against the host that spoke. */
export function checkHostMatch(
  host: CheckedHost,
  { authors }: SeenCommits,
  nowMs: number,
): Finding<true> {
  const { hostname } = host.address
  const others = authors.filter(({ identity }) => identity.pdsHostname !== hostname)
  const worst = others.find(({ timeMs }) => !(nowMs - timeMs > RECENT_MS))
  const shown = worst ?? (others.length === authors.length ? others[0] : undefined)
  const facts = { accounts: authors.length, elsewhere: others.length }
  if (shown !== undefined) {
    const named = shown.identity.pdsEndpoint ?? 'no host'
    const detail = `${shown.did} is at ${named} by its document, and spoke at ${hostname}`
    return bad('host-mismatch', detail, { ...facts, did: shown.did, named }, true)
  }
  const all = `${authors.length} of ${authors.length} documents name ${hostname}`
  if (others.length === 0) return good(true, all, facts)
  const some = `${authors.length - others.length} of ${authors.length} documents name ${hostname}`
  return good(true, `${some}; the others have moved since`, facts)
}

/** What the host has for a reader that stands at `seq`. */
export interface SeqView {
  /** Events after it that came within the look. */
  readonly events: number
  /** Age of the first one, ms. */
  readonly firstAgeMs: number | null
  readonly isFuture: boolean
  readonly error: string | null
}

/** Subscribes after `seq` as the relay would, for a moment. */
export async function lookAfter(
  ctx: DoctorContext,
  host: CheckedHost,
  seq: number,
): Promise<SeqView> {
  try {
    const after = await look(ctx, host, seq, (messages) => messages.length > 0)
    const frames = framesOf(after.messages)
    const errors = after.messages.flatMap((message) =>
      message.kind === 'frame' && message.parsed.ok && message.parsed.value.kind === 'error'
        ? [message.parsed.value.error]
        : [],
    )
    const first = frames[0]
    const isFuture = errors.includes('FutureCursor') || (first !== undefined && first.seq <= seq)
    const firstAgeMs = first === undefined ? null : ctx.clock.nowMs() - Date.parse(first.body.time)
    return { events: frames.length, firstAgeMs, isFuture, error: errors[0] ?? null }
  } catch (error) {
    return { events: 0, firstAgeMs: null, isFuture: false, error: causeOf(error) }
  }
}
