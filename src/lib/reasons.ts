/**
 * Every reason for which something from the network is refused, deferred or remarked upon. The keys
 * are stable: they are metric labels, log fields and operator vocabulary. docs/generated/reasons.md
 * is made from this list.
 *
 * `kind` says what becomes of the event:
 * - `invalid`: it breaks a rule of the protocol and is dropped;
 * - `unverifiable`: it could not be checked; it waits within a bound and is then dropped;
 * - `stale`: it is not newer than what is already known and is dropped;
 * - `discontinuous`: it is good but does not continue the known head; it passes, and the head
 *   moves;
 * - `policy`: the operator's or the account's state forbids it; it is dropped.
 */
export type ReasonKind = 'invalid' | 'unverifiable' | 'stale' | 'discontinuous' | 'policy'

/** Breaks a rule of the protocol. */
export const INVALID_REASONS = {
  // The frame as bytes.
  'frame-not-binary': 'The WebSocket message is text, not binary.',
  'frame-too-large': 'The frame is over 5,000,000 bytes.',
  'frame-malformed': 'The frame is not a strict DRISL header followed by a body.',
  'frame-schema': 'The body lacks a field or has one of the wrong type.',
  'frame-unknown-op': 'The header has an op other than 1 and -1.',
  'frame-unknown-type': 'The message type is not one that this version knows.',
  // Fields of the event.
  'did-invalid': 'The DID is not of a method and syntax that atproto allows.',
  'rev-invalid': 'The rev (or since) is not a TID.',
  'rev-future': 'The rev is more than 5 minutes ahead of the clock.',
  'time-invalid': 'The time is not an atproto datetime.',
  'status-invalid': 'An inactive account has no status, or one over 128 bytes.',
  'blocks-too-large': 'blocks is over 2,000,000 bytes (#sync: over 10,000).',
  'ops-too-many': 'The commit has more than 200 operations.',
  // The CAR in `blocks`.
  'car-malformed': 'blocks is not a complete CAR version 1.',
  'car-roots': 'The CAR does not name a root.',
  'car-root-missing': 'The CAR does not hold its root, the commit.',
  'car-cid-kind': 'A CID is not version 1, dag-cbor or raw, SHA-256.',
  'car-hash-mismatch': 'A block does not hash to its CID.',
  'car-block-too-large': 'A block is over 2,000,000 bytes.',
  'car-too-many-blocks': 'The CAR holds more than 10,000 blocks.',
  'car-out-of-order': 'More blocks come before their turn in the tree than are held.',
  // The commit object.
  'commit-cid-mismatch': 'The event names another commit than the CAR root.',
  'commit-malformed': 'The commit block is not a DRISL map with the right fields.',
  'commit-version': 'The commit is not of version 3.',
  'commit-did-mismatch': 'The commit is of another DID than the event says.',
  'commit-rev-mismatch': 'The commit has another rev than the event says.',
  // The signature.
  'signature-malformed': 'The signature is not 64 bytes with both parts in range.',
  'signature-high-s': 'The signature is malleable: its S is over half the order.',
  'signature-invalid': 'The signature does not verify with the current key.',
  // Operations.
  'op-malformed': 'An operation lacks or has a cid or prev against its action.',
  'op-path-invalid': 'A path is not <NSID>/<record key>.',
  'op-path-repeated': 'Operations on one path do not follow from one another.',
  'op-record-missing': 'A created or updated record is not in the CAR.',
  'op-record-too-large': 'A record is over 1,000,000 bytes.',
  'op-record-malformed': 'A record is not a strict DRISL map of bounded depth.',
  // The tree.
  'mst-malformed': 'A tree node is not in the canonical form.',
  'mst-key-invalid': 'A tree key is not a repository path.',
  'mst-key-order': 'Tree keys are not in strictly rising order.',
  'mst-prefix': 'A prefix length is out of bounds or not the longest possible.',
  'mst-height': 'A key stands at another height than its hash demands.',
  'mst-block-repeated': 'A tree node is reached twice.',
  'mst-too-large': 'The tree exceeds the depth, node or entry budget.',
  'mst-block-missing': 'A tree node that the proof needs is not in the CAR.',
  // Inversion.
  'prev-data-missing': 'A commit that is not the first has no prevData.',
  'op-prev-missing': 'An update or delete has no prev, so it cannot be inverted.',
  'op-not-in-tree': 'An operation says otherwise than the new tree.',
  'inversion-mismatch': 'Undoing the operations does not give prevData.',
} as const

/** Could not be checked. */
export const UNVERIFIABLE_REASONS = {
  'identity-unresolved': 'The DID could not be resolved in time.',
  'identity-missing': 'The DID does not exist or is tombstoned.',
  'identity-no-key': 'The DID document has no usable atproto signing key.',
  'identity-no-host': 'The DID document names no usable PDS.',
  'deferred-expired': 'The event waited for its identity too long.',
  'deferred-overflow': 'Too many events wait for identities.',
} as const

/** Is not newer than what is known. */
export const STALE_REASONS = {
  'seq-not-rising': 'The host repeated or lowered a sequence number it had passed.',
  'rev-stale': 'The rev is not after the one already known.',
} as const

/** Is good but does not continue the known head. */
export const DISCONTINUOUS_REASONS = {
  'since-mismatch': 'since is not the rev of the known head.',
  'prev-data-mismatch': 'prevData is not the tree of the known head.',
} as const

/** Is forbidden by the state of host or account, or by the operator. */
export const POLICY_REASONS = {
  'host-mismatch': 'The event came from a host that is not the current one.',
  'account-inactive': 'The account is not active at its host.',
  'account-takendown': 'The operator of this relay has taken the account down.',
  'account-throttled': 'The host is over its account limit.',
} as const

export type InvalidReason = keyof typeof INVALID_REASONS
export type UnverifiableReason = keyof typeof UNVERIFIABLE_REASONS
export type StaleReason = keyof typeof STALE_REASONS
export type DiscontinuousReason = keyof typeof DISCONTINUOUS_REASONS
export type PolicyReason = keyof typeof POLICY_REASONS

export type Reason =
  | InvalidReason
  | UnverifiableReason
  | StaleReason
  | DiscontinuousReason
  | PolicyReason

/** A reason's kind and its text for people. */
export interface ReasonEntry {
  readonly kind: ReasonKind
  readonly text: string
}

function entriesOf(
  kind: ReasonKind,
  texts: Readonly<Record<string, string>>,
): readonly (readonly [string, ReasonEntry])[] {
  return Object.entries(texts).map(([reason, text]) => [reason, { kind, text }] as const)
}

/** Every reason: for documents, and for metrics that start at zero. */
export const REASONS: Readonly<Record<Reason, ReasonEntry>> = Object.fromEntries([
  ...entriesOf('invalid', INVALID_REASONS),
  ...entriesOf('unverifiable', UNVERIFIABLE_REASONS),
  ...entriesOf('stale', STALE_REASONS),
  ...entriesOf('discontinuous', DISCONTINUOUS_REASONS),
  ...entriesOf('policy', POLICY_REASONS),
]) as Readonly<Record<Reason, ReasonEntry>>
