/**
 * Checks of Skein's own consumers after the whole run: what each delivered, beside the frames that
 * its service sent and beside what the PDSes hold in the end.
 */

import type { LedgerEntry } from '../compare/ledger.ts'
import { XrpcError } from '../net/xrpc.ts'
import type { Scene } from '../scenario/scene.ts'
import type { Consumed, Consumption } from '../skein-client/consumed.ts'
import type { Consumers } from '../skein-client/consumers.ts'
import { Replica } from '../skein-client/replica.ts'
import type { StreamEvent } from '../streams/frame.ts'
import type { Watcher } from '../streams/observers.ts'
import type { Pds, PdsName } from '../world/pds.ts'
import { PDS_NAMES } from '../world/pds.ts'
import { SkeinHost } from '../world/skein-host.ts'
import type { Check } from './check.ts'
import { checkOf, runCheck } from './check.ts'
import { exportForAdmin, recordDifferences, recordsByAtproto } from './repo-contents.ts'

/** Faults quoted in a report. */
const FAULTS_MAX = 5
/** Remarks that mean that something was lost, or not done. */
const BAD_REMARKS: ReadonlySet<string> = new Set([
  'consumer-too-slow',
  'error-frame',
  'future-cursor',
  'gap',
  'outdated-cursor',
  'quarantined',
  'sequence-restarted',
])

/** A consumer, what its service sent, and what of it must be refused. */
interface Subject {
  /** `A`, `the relay`. */
  readonly place: string
  readonly consumption: Consumption
  readonly consumed: readonly Consumed[]
  /** Without repetition, in order. */
  readonly sent: readonly StreamEvent[]
  readonly refusals: ReadonlySet<number>
  /** Where the account's records are, by this service. */
  readonly homeOf: (did: string) => Pds
}

/** All checks of consumers that have been stopped. */
export async function checkConsumers(parts: {
  readonly scene: Scene
  readonly consumers: Consumers
  readonly direct: Readonly<Record<PdsName, Watcher>>
  readonly relayed: Watcher
  readonly entries: readonly LedgerEntry[]
}): Promise<Check[]> {
  const { scene, consumers, direct, relayed, entries } = parts
  const homes = new Map<string, Pds>(scene.accounts.map(({ did, home }) => [did, home]))
  const subjects = [
    ...PDS_NAMES.map((name) =>
      subjectOf(name, consumers.direct[name], direct[name], {
        refusals: refusalsOf(entries, name),
        homeOf: () => scene.pds(name),
      }),
    ),
    subjectOf('the relay', consumers.relayed, relayed, {
      refusals: new Set(),
      homeOf: (did) => homes.get(did) ?? scene.pds('A'),
    }),
  ]
  const checks: Check[] = []
  for (const subject of subjects) {
    const row = (name: string, look: () => Promise<string[]> | string[]): Promise<Check> =>
      runCheck(`consumer of ${subject.place}: ${name}`, async () =>
        (await look()).slice(0, FAULTS_MAX),
      )
    checks.push(
      await row('the records delivered are those that the PDSes hold', () =>
        records(subject, scene),
      ),
      await row('every commit is delivered or brought by a repair', () => commits(subject)),
      await row('every #account and #identity is delivered, and every #sync that is news', () =>
        otherEvents(subject),
      ),
      await row('each DID in order, verified, once in each life', () => order(subject)),
      await row('it refuses what must be refused, and nothing else', () => refusals(subject)),
      await row('it ends at the heads of the PDSes, nothing waits for repair', () =>
        heads(subject, scene),
      ),
    )
  }
  return [...checks, resumed(consumers)]
}

/** Refusals by the key and the commit; that a PDS is not an account's host only a relay minds. */
function refusalsOf(entries: readonly LedgerEntry[], pds: PdsName): Set<number> {
  const refused = entries.filter(
    ({ event, refusal, ...entry }) =>
      entry.pds === pds && refusal !== null && event.type !== '#account',
  )
  return new Set(refused.map(({ event }) => event.seq))
}

function subjectOf(
  place: string,
  consumption: Consumption,
  { raw }: Watcher,
  parts: Pick<Subject, 'refusals' | 'homeOf'>,
): Subject {
  const bySeq = new Map(raw.events.map((event) => [event.seq, event]))
  const sent = [...bySeq.values()].toSorted((a, b) => a.seq - b.seq)
  return { place, consumption, consumed: consumption.lives().flat(), sent, ...parts }
}

async function records({ consumption, sent, homeOf }: Subject, scene: Scene): Promise<string[]> {
  const replica = new Replica(consumption.lives())
  const faults = [...replica.faults]
  let count = 0
  for (const did of new Set(sent.map((event) => event.did))) {
    const wanted = await recordsAt(homeOf(did), did, scene)
    count += wanted.size
    const found = recordDifferences(replica.records(did), wanted)
    faults.push(...found.map((fault) => `${did}: ${fault}`))
  }
  if (count === 0) faults.push('the PDSes hold no records')
  return faults
}

/** Also of accounts that are not active; none of one that is deleted there. */
async function recordsAt(
  home: Pds,
  did: string,
  scene: Scene,
): Promise<ReadonlyMap<string, string>> {
  if (home instanceof SkeinHost) {
    const deleted = scene.accounts.some((account) => account.did === did && account.deleted)
    return deleted ? new Map() : home.records(did)
  }
  try {
    return await recordsByAtproto(await exportForAdmin(home.origin, did))
  } catch (error) {
    if (error instanceof XrpcError && error.errorName === 'RepoNotFound') return new Map()
    throw error
  }
}

function commits({ sent, consumed, consumption, refusals: refused }: Subject): string[] {
  const faults: string[] = []
  const wanted = sent.filter(({ type, seq }) => type === '#commit' && !refused.has(seq))
  const live = consumed.filter(({ kind, cause }) => kind === 'commit' && cause === 'live')
  const delivered = new Map(live.map((delivery) => [keyOf(delivery), delivery]))
  const broken = new Set(
    consumption.remarks().flatMap(({ kind, did }) => (kind === 'desynchronized' ? [did] : [])),
  )
  let found = 0
  for (const event of wanted) {
    const name = `${event.did} ${event.rev} (seq ${event.seq}, ${event.what})`
    const delivery = delivered.get(keyOf(event))
    if (delivery !== undefined) {
      found++
      if (delivery.seq !== event.seq) faults.push(`${name} is delivered as seq ${delivery.seq}`)
    } else if (!broken.has(event.did) || !isRepaired(consumed, event)) faults.push(`no ${name}`)
  }
  if (found < wanted.length / 2) faults.push(`only ${found} of ${wanted.length} came as commits`)
  const known = new Set(wanted.map(keyOf))
  for (const delivery of live) {
    if (!known.has(keyOf(delivery))) faults.push(`nobody sent ${keyOf(delivery)}`)
  }
  return faults
}

function keyOf({ did, rev }: Pick<Consumed, 'did' | 'rev'>): string {
  return `${did} ${rev}`
}

/** Whether what was at that rev has been fetched, or what came after it. */
function isRepaired(consumed: readonly Consumed[], { did, rev }: StreamEvent): boolean {
  return consumed.some(
    (delivery) =>
      delivery.kind === 'repo-complete' &&
      delivery.did === did &&
      (delivery.rev ?? '') >= (rev ?? ''),
  )
}

function otherEvents({ sent, consumed, refusals: refused }: Subject): string[] {
  const seqs = new Set(consumed.map(({ kind, seq }) => `${kind} ${seq}`))
  const revs = new Set(consumed.map(({ did, rev }) => `${did} ${rev}`))
  const faults: string[] = []
  for (const { type, seq, did, rev, what } of sent) {
    if (type === '#commit' || refused.has(seq)) continue
    const isThere = seqs.has(`${type.slice(1)} ${seq}`)
    const isKnown = type === '#sync' && revs.has(`${did} ${rev}`)
    if (!isThere && !isKnown) faults.push(`no ${type} ${seq} of ${did} (${what})`)
  }
  for (const kind of ['account', 'identity'] as const) {
    if (!consumed.some((delivery) => delivery.kind === kind)) faults.push(`no ${kind} at all`)
  }
  return faults
}

function order({ consumption }: Subject): string[] {
  const faults: string[] = []
  for (const life of consumption.lives()) {
    const seqs = new Map<string, number>()
    const revs = new Map<string, string>()
    for (const { kind, did, seq, rev, cause, verdict } of life) {
      if (did === null) continue
      const name = `${kind} ${seq ?? rev} of ${did}`
      if (seq !== null && seq <= (seqs.get(did) ?? 0)) faults.push(`${name} comes late or again`)
      if (seq !== null) seqs.set(did, seq)
      if (kind === 'account') revs.delete(did)
      if (kind !== 'commit') continue
      if (verdict !== 'verified') faults.push(`${name} is ${verdict}`)
      const before = revs.get(did) ?? ''
      // A repair may have parts.
      const isLater = cause === 'live' ? (rev ?? '') > before : (rev ?? '') >= before
      if (!isLater) faults.push(`${name} has rev ${rev}, after ${before}`)
      revs.set(did, rev ?? '')
    }
  }
  return faults
}

function refusals({ consumption, refusals: wanted }: Subject): string[] {
  const remarks = consumption.remarks()
  const refused = remarks.filter(({ kind }) => kind === 'refused')
  const seqs = new Set(refused.map(({ seq }) => seq))
  return [
    ...[...wanted].filter((seq) => !seqs.has(seq)).map((seq) => `seq ${seq} is not refused`),
    ...refused.filter(({ seq }) => !wanted.has(seq ?? 0)).map(({ text }) => text),
    ...remarks.filter(({ kind }) => BAD_REMARKS.has(kind)).map(({ text }) => text),
  ]
}

async function heads({ consumption, sent, homeOf }: Subject, scene: Scene): Promise<string[]> {
  const faults = consumption.failure === null ? [] : [consumption.failure]
  for (const { did, home, deleted, name } of scene.accounts) {
    if (deleted || home !== homeOf(did) || !sent.some((event) => event.did === did)) continue
    const { rev, mark } = await consumption.repo(did)
    const head = await home.head(did)
    if (mark !== null) faults.push(`${name} waits: ${mark}`)
    if (rev !== head.rev) faults.push(`${name} is at ${rev}, the PDS at ${head.rev}`)
  }
  return faults
}

function resumed({ relayed }: Consumers): Check {
  const [first = [], second = []] = relayed.lives()
  const last = Math.max(0, ...first.map(({ seq }) => seq ?? 0))
  const begun = second.find(({ seq }) => seq !== null)?.seq ?? 0
  const faults: string[] = []
  if (first.length === 0 || second.length === 0) faults.push('it has not had two lives')
  if (begun <= last / 2) faults.push(`it began again at seq ${begun}, after ${last}`)
  return checkOf('consumer of the relay: killed once, it goes on from its stored cursor', faults)
}
