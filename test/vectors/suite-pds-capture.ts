/**
 * What a subscriber of the reference PDS saw: three accounts, writes of every kind, and its
 * oddities.
 *
 * Every frame has its row in {@link EXPECTED}: what the action behind it was, and what must become
 * of it. `frames.bin` is what was left for a subscriber that came after the third account had been
 * deleted.
 */
import { loadVerifier, type SignatureVerifier } from '../../src/crypto/verifier.ts'
import type { PublicKey } from '../../src/crypto/public-key.ts'
import { must } from '../../src/lib/assert.ts'
import {
  commitAgainstHead,
  syncAgainstHead,
  type Head,
  type HeadVerdict,
} from '../../src/repo/head.ts'
import { verifyCommit, verifySync } from '../../src/repo/verify.ts'
import { parseFrame } from '../../src/stream/frame.ts'
import type { MessageFrame } from '../../src/stream/frame-types.ts'
import { runCases, type SuiteResult } from './suite-result.ts'
import { readFrames, readKeys } from './vector-files.ts'

type Outcome = HeadVerdict['outcome']

interface Expected {
  readonly type: MessageFrame['type']
  readonly account: 'alice' | 'bob' | 'carol'
  /** Reason, or `ok`; null for events that carry no commit. */
  readonly verdict: string | null
  readonly warnings: readonly string[]
  readonly head: Outcome | null
  /** Action and end of path of each operation, or the field that the event is about. */
  readonly says: string
}

function commit(
  account: Expected['account'],
  says: string,
  warnings: readonly string[] = [],
): Expected {
  return { type: '#commit', account, verdict: 'ok', warnings, head: 'continues', says }
}

/** A `#sync` of the head itself: the PDS sends one after creation and after activation. */
function sync(account: Expected['account']): Expected {
  return { type: '#sync', account, verdict: 'ok', warnings: [], head: 'same', says: '' }
}

function status(account: Expected['account'], says: string): Expected {
  return { type: '#account', account, verdict: null, warnings: [], head: null, says }
}

function identity(account: Expected['account'], says: string): Expected {
  return { type: '#identity', account, verdict: null, warnings: [], head: null, says }
}

const REPEATED = ['op-path-repeated']

/** By seq, which begins at 1. */
const EXPECTED: readonly Expected[] = [
  identity('alice', 'alice.test'),
  status('alice', 'active'),
  commit('alice', ''),
  sync('alice'),
  identity('bob', 'bob.test'),
  status('bob', 'active'),
  commit('bob', ''),
  sync('bob'),
  identity('carol', 'carol.test'),
  status('carol', 'active'),
  commit('carol', ''),
  sync('carol'),
  commit('alice', 'create app.bsky.feed.post'),
  commit('alice', 'create app.bsky.feed.post'),
  commit('alice', 'create app.bsky.actor.profile'),
  commit('alice', 'update app.bsky.actor.profile'),
  commit('alice', 'delete app.bsky.feed.post'),
  commit('bob', 'create org.example.thing'),
  commit('bob', Array.from({ length: 5 }, () => 'create org.example.thing').join(' ')),
  commit('bob', 'create org.example.other update org.example.thing delete org.example.thing'),
  // Two operations on one path, the second without prev: nothing is left of the first pair, a
  // record of the second.
  commit('bob', 'create org.example.tmp delete org.example.tmp', REPEATED),
  commit('bob', 'create org.example.tmp update org.example.tmp', REPEATED),
  // No operation: the CAR holds the commit and no node.
  commit('bob', ''),
  // A record under another path: the same CID in both operations.
  commit('bob', 'delete org.example.thing create org.example.thing'),
  commit('alice', 'create app.bsky.feed.post'),
  identity('alice', 'alice2.test'),
  status('bob', 'deactivated'),
  commit('carol', 'create app.bsky.feed.post'),
  status('alice', 'takendown'),
  status('alice', 'active'),
  commit('alice', 'delete app.bsky.feed.post'),
  status('bob', 'active'),
  identity('bob', 'bob.test'),
  sync('bob'),
  status('carol', 'deleted'),
]

/** Seqs of `frames.bin`: the deletion took carol's events out, but for the last. */
const LEFT_SEQS: readonly number[] = EXPECTED.map((_, i) => i + 1).filter(
  (seq) => ![9, 10, 11, 12, 28].includes(seq),
)

/** Runs both captures. `sharedDirectory` holds `vectors/`. */
export async function run(sharedDirectory: string): Promise<readonly SuiteResult[]> {
  const directory = `${sharedDirectory}/vectors/pds-capture`
  const keys = await readKeys(`${directory}/diddocs.json`)
  const verifier = await loadVerifier()
  const captures = [
    { fileName: 'frames-live.bin', seqs: EXPECTED.map((_, i) => i + 1) },
    { fileName: 'frames.bin', seqs: LEFT_SEQS },
  ]
  const results: SuiteResult[] = []
  for (const { fileName, seqs } of captures) {
    const frames = await readFrames(`${directory}/${fileName}`)
    const reader = new CaptureReader(keys, verifier)
    const cases = Array.from({ length: Math.max(frames.length, seqs.length) }, (_, i) => i)
    const check = (i: number): string | null => reader.check(frames[i], seqs[i])
    results.push(runCases(`pds-capture: ${fileName}`, cases, check))
  }
  return results
}

/** Follows one capture: the head of each account. */
class CaptureReader {
  readonly #keys: ReadonlyMap<string, PublicKey>
  readonly #verifier: SignatureVerifier
  readonly #heads = new Map<string, Head>()
  readonly #dids = new Map<string, string>()

  constructor(keys: ReadonlyMap<string, PublicKey>, verifier: SignatureVerifier) {
    this.#keys = keys
    this.#verifier = verifier
  }

  check(frame: Uint8Array | undefined, seq: number | undefined): string | null {
    if (frame === undefined || seq === undefined) return `frame ${String(seq)}: too many or too few`
    const parsed = parseFrame(frame)
    if (!parsed.ok) return `seq ${seq}: ${parsed.reason}: ${parsed.detail}`
    if (parsed.value.kind !== 'message') return `seq ${seq}: ${parsed.value.kind}`
    const message = parsed.value
    if (message.seq !== seq) return `seq ${seq}: is ${message.seq}`
    const expected = must(EXPECTED[seq - 1], 'row')
    const found = {
      type: message.type,
      account: this.#account(message, expected),
      ...this.#judge(message),
    }
    const same = JSON.stringify(sorted(found)) === JSON.stringify(sorted(expected))
    return same ? null : `seq ${seq}: ${JSON.stringify(found)}`
  }

  /** The name that goes with the DID; the first time it is what the row says. */
  #account(message: MessageFrame, expected: Expected): string {
    const did = didOf(message)
    const known = this.#dids.get(did)
    if (known !== undefined) return known
    const isTaken = [...this.#dids.values()].includes(expected.account)
    if (!isTaken) this.#dids.set(did, expected.account)
    return isTaken ? did : expected.account
  }

  #judge(message: MessageFrame): Omit<Expected, 'type' | 'account'> {
    const none = { verdict: null, warnings: [], head: null }
    if (message.type === '#identity') return { ...none, says: message.body.handle ?? '' }
    if (message.type === '#account') {
      const { active, status: text } = message.body
      return { ...none, says: active ? 'active' : (text ?? '') }
    }
    const did = didOf(message)
    const key = must(this.#keys.get(did), 'key')
    const nowMs = Date.parse(message.body.time)
    const context = { key, verifier: this.#verifier, nowMs }
    const isCommit = message.type === '#commit'
    const verdict = isCommit
      ? verifyCommit(message.body, context)
      : verifySync(message.body, context)
    const says = isCommit
      ? message.body.ops.map(({ action, path }) => `${action} ${path.split('/')[0]}`).join(' ')
      : ''
    if (!verdict.ok) return { verdict: verdict.reason, warnings: [], head: null, says }
    const { value } = verdict
    const head = this.#heads.get(did) ?? null
    const follows = isCommit ? commitAgainstHead(head, value) : syncAgainstHead(head, value)
    this.#heads.set(did, { rev: value.rev, commit: value.commit, data: value.data })
    const warnings = value.warnings.map(({ reason }) => reason)
    return { verdict: 'ok', warnings, head: follows.outcome, says }
  }
}

function didOf(message: MessageFrame): string {
  return message.type === '#commit' ? message.body.repo : message.body.did
}

function sorted(row: object): unknown {
  return Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1))
}
