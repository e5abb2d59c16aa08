/**
 * Reads frames of com.atproto.sync.subscribeRepos for comparison, with the reference's codec and
 * nothing of Skein's.
 *
 * A relay may change one thing in a frame: the value of `seq`. That is checked by way of the
 * encoding being canonical: a frame whose bytes equal the re-encoding of what was read from it
 * differs from another such frame exactly where their contents differ. So two canonical frames with
 * equal fingerprints (a hash of the re-encoding with seq 0) are the same bytes but for the seq.
 */

import { createHash } from 'node:crypto'

import { decodeAll, encode } from '@atproto/lex-cbor'
import type { LexMap, LexValue } from '@atproto/lex-data'
import { isLexMap } from '@atproto/lex-data'

export type EventType = '#commit' | '#sync' | '#identity' | '#account'

export const EVENT_TYPES: readonly EventType[] = ['#commit', '#sync', '#identity', '#account']

function isEventType(value: unknown): value is EventType {
  return (EVENT_TYPES as readonly unknown[]).includes(value)
}

/** One event as it stood in a frame. */
export interface StreamEvent {
  readonly seq: number
  readonly type: EventType
  readonly did: string
  /** Of #commit and #sync. */
  readonly rev: string | null
  readonly time: string
  /** What it says, for people. */
  readonly what: string
  readonly bytes: Uint8Array
  readonly fingerprint: string
  /** Whether `bytes` is the canonical encoding of its contents. */
  readonly canonical: boolean
}

/** A frame that is not an event: an error frame, #info, or of an unknown type. */
export interface StreamNotice {
  readonly kind: 'error' | 'info' | 'unknown'
  readonly name: string
  readonly message: string
}

export type FrameReading = { readonly event: StreamEvent } | { readonly notice: StreamNotice }

/** Reads one frame. Throws when it is not a header and a body. */
export function readFrame(bytes: Uint8Array): FrameReading {
  const [header, body] = [...decodeAll<LexMap>(bytes)]
  if (header === undefined || body === undefined) throw new Error('a frame has two parts')
  const type = header['t']
  if (header['op'] === -1) return { notice: noticeOf('error', body['error'], body['message']) }
  if (type === '#info') return { notice: noticeOf('info', body['name'], body['message']) }
  if (!isEventType(type)) return { notice: noticeOf('unknown', type, '') }
  return {
    event: {
      seq: Number(body['seq']),
      type,
      did: text(body['repo'] ?? body['did']),
      rev: typeof body['rev'] === 'string' ? body['rev'] : null,
      time: text(body['time']),
      what: describe(type, body),
      bytes,
      fingerprint: hashOf(encodeFrame(header, { ...body, seq: 0 })),
      canonical: Buffer.compare(encodeFrame(header, body), bytes) === 0,
    },
  }
}

function noticeOf(kind: StreamNotice['kind'], name: unknown, message: unknown): StreamNotice {
  return { kind, name: text(name), message: text(message) }
}

function encodeFrame(header: LexMap, body: LexMap): Buffer {
  return Buffer.concat([encode(header), encode(body)])
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function describe(type: EventType, body: LexMap): string {
  if (type === '#commit') return describeOps(body['ops'])
  if (type === '#sync') return 'head'
  if (type === '#identity') return text(body['handle']) || 'no handle'
  return body['active'] === true ? 'active' : text(body['status'])
}

/** Operations named one by one before the rest is counted. */
const OPS_NAMED_MAX = 2

function describeOps(value: LexValue | undefined): string {
  const ops = Array.isArray(value) ? value.filter(isLexMap) : []
  if (ops.length === 0) return 'no operations'
  const named = ops.slice(0, OPS_NAMED_MAX).map((op) => `${text(op['action'])} ${text(op['path'])}`)
  const more = ops.length - named.length
  return named.join(', ') + (more > 0 ? ` and ${more} more` : '')
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
