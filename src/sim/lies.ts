/**
 * Liars: events that must be refused, each told right before an honest event of the same host that
 * must not suffer for it. The catalogue of ./bad-events.ts breaks rules about bytes; those here are
 * well-formed, and wrong about who may say what when.
 */
import { must } from '../lib/assert.ts'
import type { Random } from '../lib/random.ts'
import type { Reason } from '../lib/reasons.ts'
import { encodeMessageFrame } from '../stream/own-frames.ts'
import { tidMicros, toTid } from '../syntax/tid.ts'
import { type BadEvent, type BadEventCase, GOOD_PATH } from './bad-event.ts'
import { BAD_EVENTS } from './bad-events.ts'
import { pickOf, shuffled } from './distributions.ts'
import { forge } from './hostile-commit.ts'
import { accountBody, datetimeOf, identityBody } from './messages.ts'
import type { SimAccount } from './sim-account.ts'
import { SignedRepo } from './signed-repo.ts'
import type { Simulation } from './simulation.ts'

/** A lie that can be told: false when nobody is there to tell it. */
export interface Lie {
  readonly reason: Reason
  /** `reason: what is wrong`. */
  readonly name: string
  readonly tell: (sim: Simulation, random: Random) => boolean
}

function encoded(event: BadEvent, seq: number): Uint8Array | string {
  if (typeof event === 'string' || event instanceof Uint8Array) return event
  return encodeMessageFrame('#commit', { ...event, seq })
}

/** Puts a lie in a host's sequence. Returns what takes the id of its sibling. */
function put(
  sim: Simulation,
  host: number,
  about: { readonly did: string; readonly lie: Pick<Lie, 'name' | 'reason'> },
  data: (seq: number) => Uint8Array | string,
): (sibling: string) => void {
  const { log } = sim.host(host)
  const { did, lie } = about
  const hostSeq = log.nextSeq
  const entry = sim.ledger.tell({ lie: lie.name, reason: lie.reason, host, hostSeq, did })
  log.append(data(hostSeq), { lie: entry })
  return (sibling) => void (entry.sibling = sibling)
}

/**
 * Accounts that lie, and are doubted for it: active, and not among the busiest, whose events would
 * pile up while they are. The catalogue needs keys of k256.
 */
function liars(sim: Simulation): SimAccount[] {
  return sim.accounts.filter(
    ({ status, repo, place }) =>
      status === 'active' &&
      repo.head !== null &&
      repo.key.curve === 'k256' &&
      place * 3 >= sim.places,
  )
}

/** One of the catalogue: made from the account's honest next commit, which follows it. */
function fromCatalogue({ reason, name, make }: BadEventCase): Lie {
  const lie = { reason, name: `${reason}: ${name}` }
  return {
    ...lie,
    tell(sim, random) {
      const fit = liars(sim)
      if (fit.length === 0) return false
      const account = pickOf(random, fit)
      const { repo, did, host } = account
      const record = { $type: 'org.example.note', after: lie.name, at: sim.nowMs }
      const good = sim.write(account, [{ action: 'create', path: GOOD_PATH, record: safe(record) }])
      const settle = put(sim, host, { did, lie }, (seq) =>
        encoded(make({ repo, good, seq, nowMs: judgeMs(sim, good.rev) }), seq),
      )
      settle(sim.publish(account, '#commit', good))
      sim.commit(account, [{ action: 'delete', path: GOOD_PATH }])
      return true
    },
  }
}

/** Now, or just after a rev of a host whose clock is ahead: what is made of it is not stale. */
function judgeMs(sim: Simulation, rev: string): number {
  return Math.max(sim.nowMs, tidMicros(toTid(rev)) / 1_000 + 1)
}

/** DRISL has no fractions. */
function safe(record: { readonly at: number }): object {
  return { ...record, at: Math.floor(record.at) }
}

type Told = readonly [reason: Reason, what: string, tell: (t: Telling) => boolean]

interface Telling {
  readonly sim: Simulation
  readonly random: Random
  readonly lie: Pick<Lie, 'name' | 'reason'>
}

/** Tells it from a host, followed by an everyday commit of one of the host's own accounts. */
function tellAt(
  { sim, random, lie }: Telling,
  host: number,
  did: string,
  data: (seq: number) => Uint8Array,
): boolean {
  const own = sim.accounts.filter((a) => a.host === host && a.status === 'active' && a.did !== did)
  if (own.length === 0) return false
  const settle = put(sim, host, { did, lie }, data)
  settle(sim.commit(pickOf(random, own), []))
  return true
}

/** An event about an account of one host, from another one. */
function fromElsewhere(
  telling: Telling,
  data: (account: SimAccount, seq: number, moment: number) => Uint8Array,
): boolean {
  const { sim, random } = telling
  const fit = liars(sim)
  const elsewhere = sim.hosts.filter(({ index }) => fit.some(({ host }) => host !== index))
  if (elsewhere.length === 0) return false
  const { index } = pickOf(random, elsewhere)
  const victim = pickOf(
    random,
    fit.filter(({ host }) => host !== index),
  )
  const moment = sim.momentAt(index)
  return tellAt(telling, index, victim.did, (seq) => data(victim, seq, moment))
}

/** An event of an account that the directory knows otherwise than it should, or not at all. */
function ofNobody(telling: Telling, known: 'no-key' | 'no-host' | 'not'): boolean {
  const { sim, random, lie } = telling
  const host = pickOf(random, sim.hosts)
  const seed = `${sim.options.seed} nobody ${sim.ledger.count}`
  const { publicKey } = new SignedRepo({ seed }).key
  const state = {
    key: known === 'no-key' ? null : publicKey,
    endpoint: known === 'no-host' ? null : host.endpoint,
    handle: 'nobody.sim.example.com',
  }
  const visible = known === 'not' ? 'hidden' : 'shown'
  // The endpoint would make the DID differ from run to run: it is told by a later operation.
  const did = sim.directory.create(
    { ...state, endpoint: null, handle: seed.replaceAll(' ', '-') },
    'multikey',
    sim.nowMs,
    visible,
  )
  sim.directory.update(did, state, sim.nowMs)
  const repo = new SignedRepo({ seed, did, startMs: sim.nowMs })
  const body = repo.apply([])
  return tellAt({ sim, random, lie }, host.index, did, (seq) =>
    encodeMessageFrame('#commit', { ...body, seq }),
  )
}

const LIES_OF_AUTHORITY: readonly Told[] = [
  [
    'host-mismatch',
    "a sync of somebody else's account, well signed",
    (t) =>
      fromElsewhere(t, ({ repo }, seq, moment) =>
        encodeMessageFrame('#sync', { ...repo.sync(), time: datetimeOf(moment), seq }),
      ),
  ],
  [
    'host-mismatch',
    "the end of somebody else's account",
    (t) =>
      fromElsewhere(t, ({ did }, seq, moment) =>
        encodeMessageFrame('#account', { ...accountBody(did, moment, 'deleted'), seq }),
      ),
  ],
  [
    'host-mismatch',
    "an identity event about somebody else's account",
    (t) =>
      fromElsewhere(t, ({ did }, seq, moment) =>
        encodeMessageFrame('#identity', { ...identityBody(did, moment, 'mine.example.com'), seq }),
      ),
  ],
  [
    'signature-invalid',
    'a commit under the key before the last one',
    ({ sim, random, lie }) => {
      const fit = liars(sim).filter(({ previousKey }) => previousKey !== null)
      if (fit.length === 0) return false
      const account = pickOf(random, fit)
      const { repo, did, host } = account
      const good = sim.write(account, [])
      const { key } = repo
      repo.key = must(account.previousKey, 'previous key')
      const forged = forge(repo, good, {})
      repo.key = key
      put(sim, host, { did, lie }, (seq) => encoded(forged, seq))(
        sim.publish(account, '#commit', good),
      )
      return true
    },
  ],
  [
    'rev-stale',
    'a commit once more, after the one that followed it',
    ({ sim, random, lie }) => {
      const fit = liars(sim).filter(({ lastCommit }) => lastCommit !== null)
      if (fit.length === 0) return false
      const account = pickOf(random, fit)
      const { did, host } = account
      const old = must(account.lastCommit, 'commit')
      sim.commit(account, [])
      const settle = put(sim, host, { did, lie }, (seq) => encoded(old, seq))
      settle(sim.commit(account, []))
      return true
    },
  ],
  [
    'account-inactive',
    'a sync of an account that is not active',
    (t) => {
      const fit = t.sim.accounts.filter(
        ({ status, repo }) => status !== 'active' && repo.head !== null,
      )
      if (fit.length === 0) return false
      const { did, host, repo } = pickOf(t.random, fit)
      const time = datetimeOf(t.sim.momentAt(host))
      return tellAt(t, host, did, (seq) =>
        encodeMessageFrame('#sync', { ...repo.sync(), time, seq }),
      )
    },
  ],
  ['identity-missing', 'a commit of a DID that is not registered', (t) => ofNobody(t, 'not')],
  ['identity-no-key', 'a commit of a DID without a key', (t) => ofNobody(t, 'no-key')],
  ['identity-no-host', 'a commit of a DID without a host', (t) => ofNobody(t, 'no-host')],
]

/** Every lie there is. */
export const LIES: readonly Lie[] = [
  ...BAD_EVENTS.map((bad) => fromCatalogue(bad)),
  ...LIES_OF_AUTHORITY.map(([reason, what, tell]): Lie => {
    const name = `${reason}: ${what}`
    return { reason, name, tell: (sim, random) => tell({ sim, random, lie: { reason, name } }) }
  }),
]

/** Tells lies so that each has its turn: all of them in a random order, then again. */
export class Liar {
  readonly #random: Random
  #turn: Lie[] = []

  constructor(random: Random) {
    this.#random = random
  }

  /** Tells the next lie that somebody can tell; returns it. */
  tell(sim: Simulation): Lie | null {
    for (let tries = 0; tries < LIES.length; tries++) {
      if (this.#turn.length === 0) this.#turn = shuffled(this.#random, LIES)
      const lie = must(this.#turn.pop(), 'lie')
      if (lie.tell(sim, this.#random)) return lie
      this.#turn.unshift(lie)
    }
    return null
  }
}
