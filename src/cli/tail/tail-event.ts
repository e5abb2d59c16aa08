/** One event as `skein tail` shows it, from the stream as it is or from the verified consumer. */

import type { SubscriptionDelivery } from '../../client/consumer/consumer-types.ts'
import type { CommitEvent, RepoOperation, SyncEvent } from '../../client/events/events.ts'
import { toDataJson } from '../../data/data-json.ts'
import { cleanText, formatDuration, type Output, type StyleName } from '../shared/output.ts'

export type TailType = 'commit' | 'sync' | 'identity' | 'account' | 'info' | 'other' | 'complete'

/** Where an event comes from: the stream, or a repository that was fetched to mend a gap. */
export type TailCause = 'live' | 'replay' | 'repair' | 'backfill'

/** What a line of JSON holds. */
export interface TailEvent {
  readonly type: TailType
  readonly service: string
  readonly seq: number | null
  readonly did: string | null
  /** When it was made, as its sender says. */
  readonly time: string | null
  /** How old it was when it came, ms. */
  readonly lagMs: number | null
  /** Null for what carries no proof: identities, statuses, remarks. */
  readonly verdict: 'verified' | 'unverified' | null
  readonly cause: TailCause
  /** What is particular to the type. */
  readonly detail: Readonly<Record<string, unknown>>
  readonly ops: readonly RepoOperation[]
}

/** What every event shown has besides itself. */
interface Seen {
  readonly service: string
  readonly nowMs: number
}

/** An event of the stream, not verified; commits hold `ops` only. */
export function eventLine(
  event: SyncEvent,
  ops: readonly RepoOperation[],
  { service, nowMs }: Seen,
): TailEvent {
  const time = 'time' in event ? event.time : null
  return {
    ...bodyOf(event),
    service,
    seq: event.seq,
    did: 'did' in event ? event.did : null,
    time,
    lagMs: lagOf(time, nowMs),
    verdict: event.type === '#commit' || event.type === '#sync' ? 'unverified' : null,
    cause: 'live',
    ops,
  }
}

function bodyOf(event: SyncEvent): Pick<TailEvent, 'type' | 'detail'> {
  switch (event.type) {
    case '#commit':
      return { type: 'commit', detail: commitDetail(event) }
    case '#sync':
      return { type: 'sync', detail: { rev: event.rev } }
    case '#identity':
      return { type: 'identity', detail: { handle: event.handle } }
    case '#account':
      return { type: 'account', detail: { active: event.active, status: event.status } }
    case '#info':
      return { type: 'info', detail: { name: event.name, message: event.message } }
    case 'unknown':
      return { type: 'other', detail: { messageType: event.messageType } }
    case '#handle':
    case '#migrate':
    case '#tombstone':
      return { type: 'other', detail: { messageType: event.type } }
    default:
      return event satisfies never
  }
}

function commitDetail({ rev, since, commit, prevData }: CommitEvent): TailEvent['detail'] {
  return { rev, since, commit, prevData }
}

/** A delivery of the consumer, which has verified what can be. */
export function deliveryLine(delivery: SubscriptionDelivery, seen: Seen): TailEvent {
  const { service, nowMs } = seen
  if (delivery.kind === 'commit') {
    const { did, rev, since, commit, verdict, cause, ops, event, place } = delivery
    // What comes from a repository has no time of its own.
    const time = event?.time ?? null
    const lagMs = cause === 'live' ? lagOf(time, nowMs) : null
    const detail = event === null ? { rev, since, commit } : commitDetail(event)
    const seq = place?.seq ?? null
    return { type: 'commit', service, seq, did, time, lagMs, verdict, cause, detail, ops }
  }
  if (delivery.kind === 'repo-complete') {
    const { did, cause, rev, commit, changes } = delivery
    const base = { service, seq: null, time: null, lagMs: null, ops: [] }
    const detail = { rev, commit, changes }
    return { ...base, type: 'complete', did, verdict: 'verified', cause, detail }
  }
  const line = eventLine(delivery.event, [], seen)
  const verdict = delivery.kind === 'sync' ? delivery.verdict : line.verdict
  return { ...line, verdict }
}

function lagOf(time: string | null, nowMs: number): number | null {
  const ms = time === null ? Number.NaN : Date.parse(time)
  return Number.isNaN(ms) ? null : nowMs - ms
}

/** The event as one JSON value; records in atproto's JSON form, null where there is none. */
export function tailJson({ detail, ops, type, ...event }: TailEvent): unknown {
  const base = { type, ...event, ...detail }
  if (type !== 'commit') return base
  return {
    ...base,
    ops: ops.map(({ action, path, cid, prev, record }) => ({
      action,
      path,
      cid,
      prev,
      record: record?.valid === true ? toDataJson(record.value) : null,
      ...(record?.valid === false ? { recordFault: record.reason } : {}),
    })),
  }
}

/** Older than this is late for a live stream, ms. */
const LATE_MS = 60_000
const ACTION_STYLES: Readonly<Record<string, StyleName>> = {
  create: 'green',
  update: 'yellow',
  delete: 'red',
}
const SEQ_CHARS = 9
const LAG_CHARS = 9
const VERDICT_CHARS = 9
const DID_CHARS = 32
const TYPE_CHARS = 8
/** Begins a line that has the whole width; no clean text holds it. */
const RECORD_MARK = '\u0000'
/** Records that are shown are cut, characters. */
const RECORD_CHARS_MAX = 2_000

/** Lines for people: one, and one more for each further operation. */
export function tailLines(event: TailEvent, output: Output, records: 'shown' | 'left'): string[] {
  const { seq, lagMs, verdict, did, type, cause } = event
  const seqText = (seq === null ? '-' : String(seq)).padStart(SEQ_CHARS)
  const lagText = (lagMs === null ? '-' : formatDuration(lagMs)).padStart(LAG_CHARS)
  const isLate = lagMs !== null && lagMs > LATE_MS
  const word = cause === 'repair' || cause === 'backfill' ? cause : type
  const head = [
    seqText,
    output.style(isLate ? 'yellow' : 'dim', lagText),
    verdictText(verdict, output),
    cleanText(did ?? '').padEnd(DID_CHARS),
    word.padEnd(TYPE_CHARS),
  ].join('  ')
  const rest = type === 'commit' ? opLines(event, output, records) : [detailText(event, output)]
  const indent = ' '.repeat(SEQ_CHARS + LAG_CHARS + VERDICT_CHARS + DID_CHARS + TYPE_CHARS + 10)
  return rest.map((text, i) => {
    if (text.startsWith(RECORD_MARK)) return ' '.repeat(SEQ_CHARS + 2) + text.slice(1)
    return `${i === 0 ? `${head}  ` : indent}${text}`
  })
}

function verdictText(verdict: TailEvent['verdict'], output: Output): string {
  if (verdict === 'verified') return output.style('green', verdict.padEnd(VERDICT_CHARS))
  return output.style('dim', (verdict === null ? '-' : 'unchecked').padEnd(VERDICT_CHARS))
}

function opLines({ ops, detail }: TailEvent, output: Output, records: 'shown' | 'left'): string[] {
  if (ops.length === 0) return [output.style('dim', `no operations, rev ${String(detail['rev'])}`)]
  return ops.flatMap((op) => {
    const style = ACTION_STYLES[op.action] ?? 'bold'
    const action = output.style(style, cleanText(op.action))
    const line = `${action} ${cleanText(op.path)}`
    if (records === 'left' || op.record === null) return [line]
    return [line, `${RECORD_MARK}${output.style('dim', cleanText(recordText(op)))}`]
  })
}

function recordText({ record }: RepoOperation): string {
  if (record === null) return ''
  if (!record.valid) return `(no record: ${record.reason ?? ''})`
  const text = JSON.stringify(toDataJson(record.value))
  return text.length > RECORD_CHARS_MAX ? `${text.slice(0, RECORD_CHARS_MAX)}…` : text
}

function detailText({ type, detail }: TailEvent, output: Output): string {
  const word = (key: string): string => {
    const value = detail[key]
    return typeof value === 'string' || typeof value === 'number' ? cleanText(String(value)) : ''
  }
  switch (type) {
    case 'sync':
      return `rev ${word('rev')}`
    case 'identity':
      return detail['handle'] === null ? 'has changed' : `handle ${word('handle')}`
    case 'account':
      return detail['active'] === true
        ? output.style('green', 'active')
        : output.style('yellow', detail['status'] === null ? 'not active' : word('status'))
    case 'info':
      return `${word('name')} ${word('message')}`.trim()
    case 'complete':
      return `whole as of rev ${word('rev')}, ${word('changes')} changes`
    case 'commit':
    case 'other':
      return word('messageType')
    default:
      return type satisfies never
  }
}
