/**
 * The messages of `com.atproto.sync.subscribeRepos` as they stand in frames, after DRISL decoding.
 * Links are `CidLinkWrapper` (`.bytes`: 36 bytes), byte strings `BytesWrapper` (`.buf`); both are
 * views into the frame. Objects may carry fields that the lexicon does not know.
 */
import type { BytesWrapper } from '@atcute/cbor'
import type { CidLinkWrapper } from '@atcute/cid'

/** The types that carry a seq and are relayed. */
export type MessageType = '#commit' | '#sync' | '#identity' | '#account'

/** One operation of a `#commit`. `action` is any text: its meaning is checked by verification. */
export interface RepoOp {
  readonly action: string
  readonly path: string
  readonly cid: CidLinkWrapper | null
  readonly prev?: CidLinkWrapper
}

/** Body of `#commit`. `rebase`, `tooBig` and `blobs` are deprecated and mean nothing. */
export interface CommitBody {
  readonly seq: number
  readonly repo: string
  readonly commit: CidLinkWrapper
  readonly rev: string
  readonly since: string | null
  readonly blocks: BytesWrapper
  readonly ops: readonly RepoOp[]
  readonly blobs: readonly CidLinkWrapper[]
  readonly prevData?: CidLinkWrapper
  readonly time: string
  readonly rebase: boolean
  readonly tooBig: boolean
}

/** Body of `#sync`. `blocks` is a CAR of the commit. */
export interface SyncBody {
  readonly seq: number
  readonly did: string
  readonly blocks: BytesWrapper
  readonly rev: string
  readonly time: string
}

/** Body of `#identity`. */
export interface IdentityBody {
  readonly seq: number
  readonly did: string
  readonly time: string
  readonly handle?: string
}

/** Body of `#account`. `status` is open: values beyond the known ones must be tolerated. */
export interface AccountBody {
  readonly seq: number
  readonly did: string
  readonly time: string
  readonly active: boolean
  readonly status?: string
}

/** The body that belongs to each type. */
export interface MessageBodies {
  '#commit': CommitBody
  '#sync': SyncBody
  '#identity': IdentityBody
  '#account': AccountBody
}

/** What is needed to send a frame on under another seq. */
export interface SeqFrame {
  /** The event-stream frame: header and body, as received. */
  readonly bytes: Uint8Array
  /** Where the CBOR integer of `seq` begins in `bytes`, and how many bytes it takes (1 to 9). */
  readonly seqOffset: number
  readonly seqLength: number
}

interface MessageFrameOf<T extends MessageType> extends SeqFrame {
  readonly kind: 'message'
  readonly type: T
  readonly body: MessageBodies[T]
  readonly seq: number
}

/** A message that passed every check of ./frame.ts. */
export type MessageFrame = { [T in MessageType]: MessageFrameOf<T> }[MessageType]

/**
 * An error frame (op -1). The sender closes the stream after it. Texts are cut to a bounded length.
 */
export interface ErrorFrame {
  readonly kind: 'error'
  readonly error: string
  readonly message?: string
}

/** An `#info` message. It has no seq and is not relayed. */
export interface InfoFrame {
  readonly kind: 'info'
  readonly name: string
  readonly message?: string
}

/** A well-formed message of a type that this version does not know: to be counted and ignored. */
export interface UnknownFrame {
  readonly kind: 'unknown'
  readonly type: string
  /** Present when the body has an integer `seq` in range, so that a cursor may move past it. */
  readonly seq?: number
  /** What was decoded; none of it has been looked at. */
  readonly body: Readonly<Record<string, unknown>>
}

export type ParsedFrame = MessageFrame | ErrorFrame | InfoFrame | UnknownFrame
