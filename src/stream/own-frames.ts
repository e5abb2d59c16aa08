/**
 * Event-stream frames that this side makes: messages of its own, `#info`, and errors. Each is a
 * payload;
 * `wrapFrame` of ./wire-frame.ts makes it ready for a socket or the log.
 */
import { concatBytes } from '../lib/bytes.ts'
import { encodeDrisl } from '../data/drisl-encode.ts'
import type { MessageBodies, MessageType } from './frame-types.ts'

/**
 * A message frame. `body` must carry its `seq` already; entries that are `undefined` are left out.
 *
 * @throws SkeinError ENCODE_UNSUPPORTED when a value of `body` has no DRISL encoding.
 */
export function encodeMessageFrame<T extends MessageType>(
  type: T,
  body: MessageBodies[T],
): Uint8Array {
  return concatBytes([encodeDrisl({ op: 1, t: type }), encodeDrisl(body)])
}

/** An `#info` frame. The lexicon knows the name `OutdatedCursor`. */
export function encodeInfoFrame(name: string, message?: string): Uint8Array {
  return concatBytes([encodeDrisl({ op: 1, t: '#info' }), encodeDrisl({ name, message })])
}

/**
 * An error frame. The stream is closed after it; the lexicon knows FutureCursor, ConsumerTooSlow.
 */
export function encodeErrorFrame(error: string, message?: string): Uint8Array {
  return concatBytes([encodeDrisl({ op: -1 }), encodeDrisl({ error, message })])
}
