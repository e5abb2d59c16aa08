/**
 * The decision on one event, given what is known at the moment: identity, account, head, and what
 * verifying its frame has shown. Synchronous and without effects; what is missing is for
 * ./admission.ts to find out.
 */
import { type PublicKey, publicKeysEqual } from '../crypto/public-key.ts'
import type { Identity } from '../identity/identity.ts'
import { commitAgainstHead, syncAgainstHead, type Head, type HeadVerdict } from '../repo/head.ts'
import type { AccountRow } from '../store/relay-store.ts'
import type { AccountBody } from '../stream/frame-types.ts'
import type { PeekedFrame } from '../stream/peek-frame.ts'
import type { Accounts } from './accounts.ts'
import type { ArrivedFrame } from './host-link.ts'
import { drop, type Decision, type Remark } from './outcome.ts'
import type { FrameVerdict } from './verifiers/verify-frame.ts'

/** The host that an event came from. */
export interface EventHost {
  readonly id: number
  readonly hostname: string
  /** Added by request: its accounts are limited. */
  readonly requested: boolean
}

export interface JudgeOptions {
  readonly accounts: Accounts
  /** Most active accounts of a host that came by request. */
  readonly hostAccountLimit: number
}

/** How many accounts, inactive ones included, a host may have for each active one allowed. */
const INACTIVE_SHARE = 10

/** A verdict, and the key that it was found with. */
export interface KeyedVerdict {
  readonly key: PublicKey
  readonly verdict: FrameVerdict
}

/** Decides on events. Holds nothing of its own. */
export class Judge {
  readonly #options: JudgeOptions

  constructor(options: JudgeOptions) {
    this.#options = options
  }

  /**
   * @param identity What the DID document says, as far as is known.
   * @param verified What verifying the frame has shown; null when that has not been done. Where it
   *   is needed, or was done with another key, the decision is `verify`.
   */
  decide(
    frame: ArrivedFrame,
    host: EventHost,
    identity: Identity,
    verified: KeyedVerdict | null,
  ): Decision {
    if (identity.pdsHostname === null) {
      return { kind: 'doubt-identity', reason: 'identity-no-host', detail: identity.did }
    }
    if (identity.pdsHostname !== host.hostname) {
      const detail = `the host is ${identity.pdsHostname}`
      return { kind: 'doubt-identity', reason: 'host-mismatch', detail }
    }
    const account = this.#accountAt(identity.did, host)
    if (account === null) {
      return drop('account-throttled', `host has ${this.#options.hostAccountLimit} accounts`)
    }
    if (frame.type === '#identity') return pass(account)
    if (account.takendown) return drop('account-takendown', account.did)
    if (frame.type === '#account') return this.#decideStatus(frame.body, account, host)
    if (!account.active) {
      return {
        kind: 'doubt-status',
        reason: 'account-inactive',
        detail: account.status ?? 'inactive',
      }
    }
    return this.#decideRepository(frame, account, identity, verified)
  }

  /**
   * The account's row, moved to `host` if it was elsewhere; null when the host has no room for it.
   */
  #accountAt(did: string, host: EventHost): AccountRow | null {
    const { accounts } = this.#options
    const known = accounts.get(did)
    if (known !== null && known.hostId === host.id) return known
    const account = known === null ? accounts.fresh(did, host.id) : { ...known, hostId: host.id }
    return this.hasRoomFor(account, host) ? account : null
  }

  /**
   * Whether a host may have one more account, or one more that is active. Hosts that the operator
   * named have no limit; inactive accounts count against a wider one, so that they cost nothing to
   * honest hosts and are no way around.
   */
  hasRoomFor(account: AccountRow, host: EventHost): boolean {
    if (!host.requested) return true
    const { accounts, hostAccountLimit } = this.#options
    const isKnownHere = accounts.get(account.did)?.hostId === host.id
    const all = accounts.allOf(host.id) - (isKnownHere ? 1 : 0)
    return accounts.activeOf(host.id) < hostAccountLimit && all < hostAccountLimit * INACTIVE_SHARE
  }

  #decideStatus(body: AccountBody, account: AccountRow, host: EventHost): Decision {
    if (body.active && !account.active && !this.hasRoomFor(account, host)) {
      return drop('account-throttled', `host has ${this.#options.hostAccountLimit} accounts`)
    }
    return passStatus(account, body)
  }

  #decideRepository(
    frame: PeekedFrame,
    account: AccountRow,
    identity: Identity,
    known: KeyedVerdict | null,
  ): Decision {
    const head = headOf(account)
    // An old rev needs no verification to be of no use; a host that starts over sends many.
    if (head !== null && frame.rev < head.rev) {
      return drop('rev-stale', `rev ${frame.rev}, known rev ${head.rev}`)
    }
    const { signingKey: key } = identity
    if (key === null) {
      return { kind: 'doubt-identity', reason: 'identity-no-key', detail: identity.did }
    }
    if (known === null || !publicKeysEqual(known.key, key)) return { kind: 'verify', key }
    const { verdict } = known
    if (!verdict.ok) {
      // Another key may have signed it: the only refusal that a newer DID document can lift.
      const kind = verdict.reason === 'signature-invalid' ? 'doubt-identity' : 'drop'
      return { kind, reason: verdict.reason, detail: verdict.detail }
    }
    const verified = verdict.value
    const against: HeadVerdict =
      frame.type === '#commit' ? commitAgainstHead(head, verified) : syncAgainstHead(head, verified)
    if (against.outcome === 'stale') return drop(against.reason, against.detail)
    const remarks: Remark[] = [...verified.warnings]
    if (against.outcome === 'discontinuous') {
      remarks.push({ reason: against.reason, detail: against.detail })
    }
    const { rev, commit, data } = verified
    return { kind: 'pass', account: () => ({ ...account, rev, commit, data }), remarks }
  }
}

function headOf({ rev, commit, data }: AccountRow): Head | null {
  return rev === null || commit === null ? null : { rev, commit, data }
}

function pass(account: AccountRow): Decision {
  return { kind: 'pass', account: () => account, remarks: [] }
}

/** The row after an `#account` event. */
export function withStatus(account: AccountRow, body: AccountStatus, seq: number): AccountRow {
  if (body.active)
    return { ...account, active: true, status: body.status ?? null, inactiveSeq: null }
  const inactiveSeq = account.active ? seq : (account.inactiveSeq ?? seq)
  return { ...account, active: false, status: body.status ?? null, inactiveSeq }
}

type AccountStatus = Pick<AccountBody, 'active' | 'status'>

function passStatus(account: AccountRow, body: AccountBody): Decision {
  return { kind: 'pass', account: (seq) => withStatus(account, body, seq), remarks: [] }
}
