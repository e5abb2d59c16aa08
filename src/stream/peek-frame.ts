/**
 * A look at a `#commit` or `#sync` that nobody has parsed: whose it is and where it stands in its
 * host's sequence. It costs a tenth of parsing, so that one thread can receive for many verifiers.
 */
import { asciiText } from '../crypto/ascii.ts'
import { scanMap, textAt, uintAt } from '../data/drisl.ts'
import { plainBytes, startsWith } from '../lib/bytes.ts'
import { isSeq } from './frame-check.ts'
import type { MessageFrame, SeqFrame } from './frame-types.ts'
import { usualHeader } from './frame.ts'

/** The types of events that carry a commit. */
export type RepositoryType = '#commit' | '#sync'

/**
 * What an event of a repository says of itself. Nothing of it is to be believed before the whole
 * frame has been parsed; texts may even be no UTF-8, and then differ from what parsing would give.
 */
export interface PeekedFrame extends SeqFrame {
  readonly kind: 'peeked'
  readonly type: RepositoryType
  readonly did: string
  readonly rev: string
  readonly time: string
  /** From 1 to 2^53 - 1. */
  readonly seq: number
}

const HEADERS = (['#commit', '#sync'] as const).map((type) => ({ type, bytes: usualHeader(type) }))

/** Longest text that is taken for a DID, a rev or a time: the longest DID is 2,048 bytes. */
const TEXT_BYTES_MAX = 2_048

/** Names of fields, as numbers of their bytes. */
const SEQ = 0x736571
const REV = 0x726576
const DID = 0x646964
const REPO = 0x7265706f
const TIME = 0x74696d65

/**
 * Peeks at one message. Null for everything but a `#commit` or `#sync` under the usual header that
 * has all the fields of {@link PeekedFrame}: parse that. Never throws. The result holds a view of
 * `received`.
 */
export function peekFrame(received: Uint8Array): PeekedFrame | null {
  const bytes = plainBytes(received)
  const header = HEADERS.find((known) => startsWith(bytes, known.bytes))
  if (header === undefined) return null
  const { type } = header
  const subject = type === '#commit' ? REPO : DID
  let seq = 0
  let seqOffset = 0
  let seqLength = 0
  let did: string | null = null
  let rev: string | null = null
  let time: string | null = null
  const isMap = scanMap(bytes, header.bytes.length, (start, end) => {
    const name = nameAt(bytes, start, end)
    if (name === SEQ) {
      const found = uintAt(bytes, end)
      if (found === null) return false
      seq = found.value
      seqOffset = end
      seqLength = found.end - end
    } else if (name === subject) did = shortText(bytes, end)
    else if (name === REV) rev = shortText(bytes, end)
    else if (name === TIME) time = shortText(bytes, end)
    return seq === 0 || did === null || rev === null || time === null
  })
  if (!isMap || !isSeq(seq) || did === null || rev === null || time === null) return null
  return { kind: 'peeked', type, did, rev, time, seq, bytes, seqOffset, seqLength }
}

/** The same of a frame that has been parsed. */
export function peekedOf(frame: Extract<MessageFrame, { type: RepositoryType }>): PeekedFrame {
  const { type, body, seq, bytes, seqOffset, seqLength } = frame
  const did = type === '#commit' ? frame.body.repo : frame.body.did
  const { rev, time } = body
  return { kind: 'peeked', type, did, rev, time, seq, bytes, seqOffset, seqLength }
}

/** A name of three or four bytes as a number; 0 for all others. */
function nameAt(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start
  if (length !== 3 && length !== 4) return 0
  let name = 0
  for (let i = start; i < end; i++) name = name * 256 + (bytes[i] as number)
  return name
}

function shortText(bytes: Uint8Array, offset: number): string | null {
  const range = textAt(bytes, offset)
  if (range === null || range.end - range.start > TEXT_BYTES_MAX) return null
  return asciiText(bytes, range.start, range.end)
}
