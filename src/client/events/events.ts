/**
 * What a stream of `com.atproto.sync.subscribeRepos` says, as one union that `type` tells apart.
 * ./decode-event.ts makes events out of frames, ./event-json.ts turns them into JSON and back,
 * ./record-schemas.ts gives their records the application's own types.
 *
 * An event is not verified by being decoded: nothing here has been hashed, no signature looked at.
 */
import type { BlockIndex } from '../../data/block-index.ts'
import type { CarReason } from '../../data/car.ts'
import type { InvalidReason } from '../../lib/reasons.ts'
import type { Result } from '../../lib/result.ts'
import type {
  AccountBody,
  CommitBody,
  IdentityBody,
  MessageType,
  SyncBody,
} from '../../stream/frame-types.ts'
import type { Did } from '../../syntax/did.ts'
import type { Tid } from '../../syntax/tid.ts'

/** The messages, known, retired and unknown. `#info` and some unknown ones have no seq. */
export type SyncEvent =
  | CommitEvent
  | RepoSyncEvent
  | IdentityEvent
  | AccountEvent
  | InfoEvent
  | RetiredEvent
  | UnknownEvent

/** What one frame says: a message, or the error after which the sender closes the stream. */
export type StreamEvent = SyncEvent | ErrorEvent

/** What every message has. */
interface Message {
  /** The frame, header and body, as received. It must not change while the event is in use. */
  readonly bytes: Uint8Array
}

/** A message that the lexicon knows and that has a place in the stream. */
interface Sequenced extends Message {
  readonly seq: number
  readonly did: Did
  /** When the event was made, as its sender says: a datetime. */
  readonly time: string
}

/**
 * `#commit`: a repository has changed. CIDs are text here and bytes in `body`; those that are not
 * asked for are never turned into text, and records are decoded when they are asked for.
 *
 * @typeParam Op The operations; ./record-schemas.ts puts types of records in.
 */
export interface CommitEvent<Op = RepoOperation> extends Sequenced {
  readonly type: '#commit'
  readonly rev: Tid
  /** The rev that this commit follows; null when it is said to be the first. */
  readonly since: Tid | null
  /** CID of the commit. */
  readonly commit: string
  /** CID of the tree before the commit; null when it is said to be the first. */
  readonly prevData: string | null
  /** In the event's order. */
  readonly ops: readonly Op[]
  /** The message as decoded: what verification takes. Links and bytes are views into `bytes`. */
  readonly body: CommitBody
  /**
   * The blocks of the commit's CAR, each hashed. Nothing is kept: each call hashes them again.
   * Records of operations come from the same blocks without this check.
   */
  checkBlocks(): Result<BlockIndex, CarReason>
  /** The same commit with each operation put in another form, when they are first asked for. */
  mapOps<Other>(map: (operation: Op) => Other): CommitEvent<Other>
}

/** What is known of an operation without its record. */
export interface OperationHead {
  /** `create`, `update` or `delete` in an event that verifies; any text in one that was not. */
  readonly action: string
  /** `<collection>/<record key>` in an event that verifies; any text in one that was not. */
  readonly path: string
  /** The path up to its first slash, or all of it. */
  readonly collection: string
  /** The path after its first slash, or nothing. */
  readonly rkey: string
  /** CID of the new record; null when there is none, as in a delete. */
  readonly cid: string | null
  /** CID of the record before; null when the event names none, as in a create. */
  readonly prev: string | null
  /**
   * The bytes of the new record, a view into the frame: found by their CID, not hashed, unless the
   * event was verified. Null for a delete and when the CAR does not hold them.
   */
  readonly recordBytes: Uint8Array | null
}

/** One operation of a `#commit`. */
export interface RepoOperation extends OperationHead {
  /**
   * The new record; null for an operation that brings none. Decoded when first asked for. What is
   * not in the CAR, too large or no strict DRISL map is not valid. Links are `CidLinkWrapper`
   * (`$link`: text), byte strings `BytesWrapper` (`$bytes`: base64), so that schemas of the JSON
   * form can read them.
   */
  readonly record: RecordOutcome<RecordValue> | null
}

/** A record as decoded, before any schema. */
export type RecordValue = Readonly<Record<string, unknown>>

/** A record that is as it should be, or what is wrong with it. */
export type RecordOutcome<T> = ValidRecord<T> | InvalidRecord

export interface ValidRecord<T> {
  readonly valid: true
  readonly value: T
}

export interface InvalidRecord {
  readonly valid: false
  /**
   * Why the bytes are no record: `op-record-missing`, `op-record-too-large`, `op-record-malformed`
   * or a reason of the CAR. Null when they are one and the application's schema refuses it.
   */
  readonly reason: InvalidReason | null
  readonly issues: readonly RecordIssue[]
  /** The record as decoded; null when `reason` is not. */
  readonly value: RecordValue | null
}

/** What is wrong with a record. */
export interface RecordIssue {
  readonly message: string
  /** Keys and indices from the record inwards. */
  readonly path: readonly PropertyKey[]
}

/** `#sync`: what a repository's newest commit is, without saying what changed. */
export interface RepoSyncEvent extends Sequenced {
  readonly type: '#sync'
  readonly rev: Tid
  readonly body: SyncBody
}

/** `#identity`: an account's DID document, keys or handle may have changed. */
export interface IdentityEvent extends Sequenced {
  readonly type: '#identity'
  /** What the sender believes to be the handle; null when it says nothing. Never a proof. */
  readonly handle: string | null
  readonly body: IdentityBody
}

/** `#account`: an account's status at its host has changed. */
export interface AccountEvent extends Sequenced {
  readonly type: '#account'
  readonly active: boolean
  /** Why the account is not active: a known word or any other; null when the sender names none. */
  readonly status: KnownStatus | OtherStatus | null
  readonly body: AccountBody
}

/** The statuses that the lexicon names. */
export type KnownStatus =
  | 'takendown'
  | 'suspended'
  | 'deleted'
  | 'deactivated'
  | 'desynchronized'
  | 'throttled'

/** A status that the lexicon does not name. Editors offer the known ones all the same. */
export type OtherStatus = string & Record<never, never>

/** `#info`: a remark of the sender, such as `OutdatedCursor`. It has no seq. */
export interface InfoEvent extends Message {
  readonly type: '#info'
  readonly seq: null
  readonly name: string
  readonly message: string | null
}

/**
 * Messages of former versions of the lexicon, which old logs and old servers still send.
 * `#identity` and `#account` say the same today.
 */
export type RetiredEvent = HandleEvent | MigrateEvent | TombstoneEvent

/** `#handle`: an account's handle has changed. */
export interface HandleEvent extends Sequenced {
  readonly type: '#handle'
  readonly handle: string
  readonly body: MessageFields
}

/** `#migrate`: an account has moved to another host. */
export interface MigrateEvent extends Sequenced {
  readonly type: '#migrate'
  /** Where to; null when the sender does not say. */
  readonly migrateTo: string | null
  readonly body: MessageFields
}

/** `#tombstone`: an account has been deleted. */
export interface TombstoneEvent extends Sequenced {
  readonly type: '#tombstone'
  readonly body: MessageFields
}

/** A well-formed message of a type that this version does not know. */
export interface UnknownEvent extends Message {
  readonly type: 'unknown'
  /** The header's `t`, cut to 512 UTF-16 units. */
  readonly messageType: string
  /** Present when the body has an integer `seq` in range, so that a cursor may move past it. */
  readonly seq: number | null
  readonly body: MessageFields
}

/** The decoded fields of a message without a lexicon. */
export type MessageFields = Readonly<Record<string, unknown>>

/** An error frame. The sender closes the stream after it. Texts are cut to a bounded length. */
export interface ErrorEvent extends Message {
  readonly type: 'error'
  /** `FutureCursor`, `ConsumerTooSlow`, or another name. */
  readonly error: string
  readonly message: string | null
}

/** The types of retired messages. */
export type RetiredType = RetiredEvent['type']

/** The types whose events are about one account and have a seq. */
export type AccountMessageType = MessageType | RetiredType
