/**
 * Repository paths (specifications: repository, record key): `<collection>/<record key>`. Every key
 * of every tree node is one, so there is a form of the check that runs on bytes.
 */
import { PATH_BYTES_MAX } from '../lib/limits.ts'
import { isNsid, type Nsid, NSID_CHARS_MAX, NSID_SEGMENT_CHARS_MAX } from './nsid.ts'
import { isRecordKey, type RecordKey, RECORD_KEY_CHARS_MAX } from './record-key.ts'

/** A path, split. */
export interface RepoPath {
  readonly collection: Nsid
  readonly rkey: RecordKey
}

/** Splits `path` at its slash; null unless it is exactly an NSID, a slash and a record key. */
export function parseRepoPath(path: string): RepoPath | null {
  if (path.length > PATH_BYTES_MAX) return null
  const slash = path.indexOf('/')
  if (slash === -1) return null
  const collection = path.slice(0, slash)
  const rkey = path.slice(slash + 1)
  return isNsid(collection) && isRecordKey(rkey) ? { collection, rkey } : null
}

/** The path of a record. */
export function formatRepoPath(collection: Nsid, rkey: RecordKey): string {
  return `${collection}/${rkey}`
}

const LETTER = 1
const DIGIT = 2
const HYPHEN = 4
const DOT = 8
const RECORD_KEY_ONLY = 16
const SLASH = 32
const ALPHANUMERIC = LETTER | DIGIT
const RECORD_KEY = ALPHANUMERIC | HYPHEN | DOT | RECORD_KEY_ONLY

const DOT_BYTE = 0x2e

/** The class of each byte, 0 for those that no path holds. */
const CLASS_OF: Uint8Array = classifyBytes()

/**
 * True when `bytes` from `start` to `end` (exclusive) is the ASCII of a path that `parseRepoPath`
 * accepts. Allocates nothing. `start` and `end` must lie within `bytes`.
 */
export function isRepoPathBytes(bytes: Uint8Array, start: number, end: number): boolean {
  const slash = endOfNsid(bytes, start, end)
  if (slash === -1) return false
  const length = end - slash - 1
  if (length < 1 || length > RECORD_KEY_CHARS_MAX) return false
  for (let i = slash + 1; i < end; i++) {
    if ((classAt(bytes, i) & RECORD_KEY) === 0) return false
  }
  if (bytes[slash + 1] !== DOT_BYTE) return true
  return length !== 1 && (length !== 2 || bytes[slash + 2] !== DOT_BYTE)
}

/** The offset of the slash that ends an NSID beginning at `start`, or -1. */
function endOfNsid(bytes: Uint8Array, start: number, end: number): number {
  let segmentStart = start
  let segments = 0
  for (let i = start; i < end; i++) {
    const kind = classAt(bytes, i)
    if (kind === DOT) {
      const first = segments === 0 ? LETTER : ALPHANUMERIC
      if (!isAuthoritySegment(bytes, segmentStart, i, first)) return -1
      segmentStart = i + 1
      segments++
    } else if (kind === SLASH) {
      const isEnd = segments >= 2 && i - start <= NSID_CHARS_MAX
      return isEnd && isName(bytes, segmentStart, i) ? i : -1
    } else if ((kind & (ALPHANUMERIC | HYPHEN)) === 0) {
      return -1
    }
  }
  return -1
}

/** The bytes between are known to be letters, digits and hyphens. */
function isAuthoritySegment(bytes: Uint8Array, start: number, end: number, first: number): boolean {
  const length = end - start
  if (length < 1 || length > NSID_SEGMENT_CHARS_MAX) return false
  return (classAt(bytes, start) & first) !== 0 && classAt(bytes, end - 1) !== HYPHEN
}

function isName(bytes: Uint8Array, start: number, end: number): boolean {
  const length = end - start
  if (length < 1 || length > NSID_SEGMENT_CHARS_MAX) return false
  if (classAt(bytes, start) !== LETTER) return false
  for (let i = start + 1; i < end; i++) if (classAt(bytes, i) === HYPHEN) return false
  return true
}

function classAt(bytes: Uint8Array, offset: number): number {
  return CLASS_OF[bytes[offset] ?? 0] ?? 0
}

function classifyBytes(): Uint8Array {
  const classes = new Uint8Array(256)
  const assign = (characters: string, kind: number): void => {
    for (const character of characters) classes[character.charCodeAt(0)] = kind
  }
  assign('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ', LETTER)
  assign('0123456789', DIGIT)
  assign('-', HYPHEN)
  assign('.', DOT)
  assign('_~:', RECORD_KEY_ONLY)
  assign('/', SLASH)
  return classes
}
