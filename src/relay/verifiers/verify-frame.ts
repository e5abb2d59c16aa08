/**
 * The verdict on the frame of a `#commit` or `#sync`: parsed strictly, held against what was read
 * of it before, and verified. Pure: it runs in whichever thread there is time.
 */
import type { InvalidReason } from '../../lib/reasons.ts'
import { fail, ok, type Failure, type Result } from '../../lib/result.ts'
import { verifyCommit, verifySync, type Verified, type VerifyContext } from '../../repo/verify.ts'
import { parseFrame } from '../../stream/frame.ts'
import type { MessageFrame } from '../../stream/frame-types.ts'
import {
  type PeekedFrame,
  peekedOf,
  peekFrame,
  type RepositoryType,
} from '../../stream/peek-frame.ts'

/** What is known of an event once it has been verified: what the relay keeps of it. */
export type VerifiedFrame = Omit<Verified, 'changes'>

/** Success, or the first reason to refuse the event. */
export type FrameVerdict = Result<VerifiedFrame, InvalidReason>

type RepositoryFrame = Extract<MessageFrame, { readonly type: RepositoryType }>

/** Parses and verifies a frame. Never throws on anything that a stranger sends. */
export function verifyFrame(peeked: PeekedFrame, context: VerifyContext): FrameVerdict {
  const frame = parseRepositoryFrame(peeked.bytes)
  if (!frame.ok) return frame
  return againstPeeked(peeked, peekedOf(frame.value)) ?? verifyParsed(frame.value, context)
}

/** The same of the bytes of a frame that has been peeked at in another thread. */
export function verifyFrameBytes(bytes: Uint8Array, context: VerifyContext): FrameVerdict {
  const peeked = peekFrame(bytes)
  if (peeked !== null) return verifyFrame(peeked, context)
  // What cannot be peeked at has been parsed there.
  const frame = parseRepositoryFrame(bytes)
  return frame.ok ? verifyParsed(frame.value, context) : frame
}

function parseRepositoryFrame(bytes: Uint8Array): Result<RepositoryFrame, InvalidReason> {
  const parsed = parseFrame(bytes)
  if (!parsed.ok) return parsed
  const frame = parsed.value
  if (frame.kind === 'message' && (frame.type === '#commit' || frame.type === '#sync')) {
    return ok(frame)
  }
  return fail('frame-malformed', 'the event is of another type than it looked')
}

function verifyParsed(frame: RepositoryFrame, context: VerifyContext): FrameVerdict {
  const verdict =
    frame.type === '#commit' ? verifyCommit(frame.body, context) : verifySync(frame.body, context)
  if (!verdict.ok) return verdict
  const { did, rev, commit, data, since, prevData, warnings } = verdict.value
  return ok({ did, rev, commit, data, since, prevData, warnings })
}

/** Whose event it is and where its seq stands has been acted upon: it must be so. */
function againstPeeked(peeked: PeekedFrame, frame: PeekedFrame): Failure<InvalidReason> | null {
  const isSame =
    peeked.type === frame.type &&
    peeked.did === frame.did &&
    peeked.rev === frame.rev &&
    peeked.seq === frame.seq &&
    peeked.seqOffset === frame.seqOffset &&
    peeked.seqLength === frame.seqLength
  return isSame ? null : fail('frame-malformed', 'the event says something else than it looked')
}
