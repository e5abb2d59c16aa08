/** Events out of frames. */
import { isDatetime, isDid, isHandle } from '@atcute/lexicons/syntax'
import { plainBytes } from '../../lib/bytes.ts'
import type { InvalidReason } from '../../lib/reasons.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import { parseFrame } from '../../stream/frame.ts'
import type { MessageFrame, ParsedFrame, UnknownFrame } from '../../stream/frame-types.ts'
import type { Did } from '../../syntax/did.ts'
import type { Tid } from '../../syntax/tid.ts'
import { commitEvent } from './commit-view.ts'
import type { RetiredEvent, RetiredType, StreamEvent } from './events.ts'

export type EventResult = Result<StreamEvent, InvalidReason>

/**
 * Decodes one frame, the payload of one binary WebSocket message. Never throws.
 *
 * The header, the body and the lexicon's rules for it are checked, as `parseFrame` says; blocks are
 * neither hashed nor read before they are asked for. Not checked: that seqs rise, signatures,
 * trees, and what `ops` mean. The event holds views into `bytes`, which must not change while it is
 * in use.
 *
 * @example
 * const decoded = decodeEvent(message)
 * if (decoded.ok && decoded.value.type === '#commit') {
 *   for (const { path, record } of decoded.value.ops) if (record?.valid) show(path, record.value)
 * }
 */
export function decodeEvent(bytes: Uint8Array): EventResult {
  const frame = parseFrame(bytes)
  return frame.ok ? eventOf(frame.value, plainBytes(bytes)) : frame
}

/**
 * The event of a frame that is parsed already.
 *
 * @param bytes The whole frame.
 * @returns A failure only for a retired message that is not what its lexicon said.
 */
export function eventOf(frame: ParsedFrame, bytes: Uint8Array): EventResult {
  switch (frame.kind) {
    case 'message':
      return ok(messageEvent(frame))
    case 'info':
      return ok({
        type: '#info',
        seq: null,
        name: frame.name,
        message: frame.message ?? null,
        bytes,
      })
    case 'error':
      return ok({ type: 'error', error: frame.error, message: frame.message ?? null, bytes })
    case 'unknown':
      break
  }
  const { type, seq = null, body } = frame
  if (isRetired(type)) return retiredEvent(type, frame, bytes)
  return ok({ type: 'unknown', messageType: type, seq, body, bytes })
}

/** The checks of frames have shown that the texts are what their types say. */
function messageEvent(frame: MessageFrame): StreamEvent {
  const { bytes } = frame
  switch (frame.type) {
    case '#commit':
      return commitEvent(frame.body, bytes)
    case '#sync': {
      const { body } = frame
      const { seq, did, rev, time } = body
      return { type: '#sync', seq, did: did as Did, rev: rev as Tid, time, body, bytes }
    }
    case '#identity': {
      const { body } = frame
      const { seq, did, time, handle } = body
      return { type: '#identity', seq, did: did as Did, time, handle: handle ?? null, body, bytes }
    }
    case '#account':
      break
  }
  const { body } = frame
  const { seq, did, time, active, status = null } = body
  return { type: '#account', seq, did: did as Did, time, active, status, body, bytes }
}

const RETIRED: readonly RetiredType[] = ['#handle', '#migrate', '#tombstone']

function isRetired(type: string): type is RetiredType {
  return (RETIRED as readonly string[]).includes(type)
}

/**
 * A message by the lexicon that it had: `seq`, `did` and `time` in all three, `handle` in
 * `#handle`, and in `#migrate` a `migrateTo` that may be null.
 */
function retiredEvent(
  type: RetiredType,
  { seq, body }: UnknownFrame,
  bytes: Uint8Array,
): EventResult {
  const { did, time } = body
  if (seq === undefined) return fail('frame-schema', `${type}: seq is not an integer from 1`)
  if (!isDid(did)) return fail('did-invalid', `${type}: did is no DID`)
  if (!isDatetime(time)) return fail('time-invalid', `${type}: time is no datetime`)
  const common = { seq, did: did as Did, time, body, bytes }
  const event = withOwnFields(type, common)
  return event === null ? fail('frame-schema', `${type}: not what its lexicon says`) : ok(event)
}

type Common = Pick<
  Extract<RetiredEvent, { type: '#handle' }>,
  'seq' | 'did' | 'time' | 'body' | 'bytes'
>

function withOwnFields(type: RetiredType, common: Common): RetiredEvent | null {
  const { handle, migrateTo } = common.body
  if (type === '#tombstone') return { type, ...common }
  if (type === '#handle') return isHandle(handle) ? { type, handle, ...common } : null
  const isKnown = migrateTo === null || typeof migrateTo === 'string'
  return isKnown ? { type, migrateTo, ...common } : null
}
