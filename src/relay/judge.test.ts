import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SignedRepo } from '../../test/support/signed-repo.ts'
import { loadVerifier } from '../crypto/verifier.ts'
import type { Identity } from '../identity/identity.ts'
import { fail } from '../lib/result.ts'
import type { AccountRow } from '../store/relay-store.ts'
import { Accounts } from './accounts.ts'
import { type EventHost, Judge, withStatus } from './judge.ts'
import type { ArrivedFrame } from './host-link.ts'
import type { Decision } from './outcome.ts'
import { accountRow, arrivedFrame, openMemoryStore } from './testing/fixtures.ts'
import { verifyFrame } from './verifiers/verify-frame.ts'

const HOST: EventHost = { id: 1, hostname: 'a.example.com', requested: false }
const NOW_MS = Date.UTC(2026, 5, 1)
const TIME = '2026-01-01T00:00:00Z'

const identityOf = (repo: SignedRepo, more: Partial<Identity> = {}): Identity => ({
  did: repo.did,
  signingKey: repo.key.publicKey,
  pdsHostname: HOST.hostname,
  pdsEndpoint: `https://${HOST.hostname}`,
  handle: null,
  fetchedAtMs: 0,
  ...more,
})

interface Court extends Disposable {
  readonly judge: Judge
  readonly accounts: Accounts
  /** The decision after all that it takes. */
  decide(frame: ArrivedFrame, host: EventHost, identity: Identity): Decision
}

async function openCourt(hostAccountLimit = 10): Promise<Court> {
  const memory = await openMemoryStore()
  memory.addHost(HOST.hostname)
  memory.addHost('b.example.com')
  const accounts = new Accounts(memory.store)
  const verifier = await loadVerifier()
  const judge = new Judge({ accounts, hostAccountLimit })
  return {
    judge,
    accounts,
    decide(frame, host, identity) {
      const decision = judge.decide(frame, host, identity, null)
      if (decision.kind !== 'verify') return decision
      assert.ok(frame.kind === 'peeked')
      const { key } = decision
      const verdict = verifyFrame(frame, { key, verifier, nowMs: NOW_MS })
      return judge.decide(frame, host, identity, { key, verdict })
    },
    [Symbol.dispose]: () => memory[Symbol.dispose](),
  }
}

const short = (decision: Decision): string =>
  'reason' in decision ? `${decision.kind} ${decision.reason}` : decision.kind

/** The row that a passing event leads to. */
function rowOf(decision: Decision, seq = 9): AccountRow {
  assert.equal(decision.kind, 'pass')
  return decision.account(seq)
}

test('I3: an event counts only from the account’s host, whatever kind it is', async () => {
  using court = await openCourt()
  const repo = new SignedRepo({ seed: 'judge host' })
  const commit = repo.apply([])
  const frames = [
    arrivedFrame('#commit', commit),
    arrivedFrame('#sync', repo.sync()),
    arrivedFrame('#identity', { seq: 1, did: repo.did, time: TIME }),
    arrivedFrame('#account', { seq: 1, did: repo.did, time: TIME, active: true }),
  ]
  const elsewhere = identityOf(repo, { pdsHostname: 'b.example.com' })
  const nowhere = identityOf(repo, { pdsHostname: null, pdsEndpoint: null })
  for (const frame of frames) {
    const decide = (identity: Identity): string => short(court.decide(frame, HOST, identity))
    assert.equal(decide(elsewhere), 'doubt-identity host-mismatch')
    assert.equal(decide(nowhere), 'doubt-identity identity-no-host')
    assert.equal(decide(identityOf(repo)), 'pass')
  }
  assert.equal(court.accounts.get(repo.did), null, 'deciding changes nothing')
})

test('a commit that passes leads to its head; the next has to follow it', async () => {
  using court = await openCourt()
  const repo = new SignedRepo({ seed: 'judge heads' })
  const [first, second, third] = [repo.apply([]), repo.apply([]), repo.apply([])]
  const decide = (body: typeof first): Decision =>
    court.decide(arrivedFrame('#commit', body), HOST, identityOf(repo))
  const row = rowOf(decide(first))
  assert.deepEqual([row.rev, row.commit], [first.rev, first.commit.bytes])
  court.accounts.put(row)
  assert.equal(short(decide(first)), 'drop rev-stale')
  const skipped = decide(third)
  assert.equal(skipped.kind, 'pass')
  assert.deepEqual(
    skipped.remarks.map(({ reason }) => reason),
    ['since-mismatch'],
  )
  const next = decide(second)
  assert.deepEqual(next.kind === 'pass' ? next.remarks : next, [])
  court.accounts.put(rowOf(skipped))
  assert.equal(short(decide(second)), 'drop rev-stale')
})

test('only a refused signature or a missing key puts the identity in doubt', async () => {
  using court = await openCourt()
  const repo = new SignedRepo({ seed: 'judge keys' })
  const body = repo.apply([])
  const decide = (identity: Identity, frameBody = body): string =>
    short(court.decide(arrivedFrame('#commit', frameBody), HOST, identity))
  assert.equal(decide(identityOf(repo, { signingKey: null })), 'doubt-identity identity-no-key')
  const { publicKey } = new SignedRepo({ seed: 'another' }).key
  const strange = identityOf(repo, { signingKey: publicKey })
  assert.equal(decide(strange), 'doubt-identity signature-invalid')
  const { prevData: _, ...orphan } = repo.apply([])
  assert.equal(decide(identityOf(repo), orphan), 'drop prev-data-missing')
})

test('I3: a verdict that was found with another key does not count', async () => {
  using court = await openCourt()
  const repo = new SignedRepo({ seed: 'judge verdicts' })
  const frame = arrivedFrame('#commit', repo.apply([]))
  const key = new SignedRepo({ seed: 'the key before' }).key.publicKey
  const refused = { key, verdict: fail('signature-invalid', 'another key signed') }
  const decision = court.judge.decide(frame, HOST, identityOf(repo), refused)
  assert.deepEqual(decision, { kind: 'verify', key: repo.key.publicKey })
  const accepted = court.decide(frame, HOST, identityOf(repo))
  assert.equal(short(accepted), 'pass')
})

test('I11: an account that is inactive or taken down is held to that', async () => {
  using court = await openCourt()
  const repo = new SignedRepo({ seed: 'judge states' })
  const commit = arrivedFrame('#commit', repo.apply([]))
  const account = arrivedFrame('#account', { seq: 1, did: repo.did, time: TIME, active: true })
  const announced = arrivedFrame('#identity', { seq: 1, did: repo.did, time: TIME })
  const decide = (frame: typeof commit): string =>
    short(court.decide(frame, HOST, identityOf(repo)))
  const away = accountRow({ did: repo.did, active: false, status: 'deactivated', inactiveSeq: 3 })
  court.accounts.put(away)
  assert.deepEqual([commit, account, announced].map(decide), [
    'doubt-status account-inactive',
    'pass',
    'pass',
  ])
  court.accounts.put({ ...away, active: true, status: null, takendown: true })
  assert.deepEqual([commit, account, announced].map(decide), [
    'drop account-takendown',
    'drop account-takendown',
    'pass',
  ])
})

test('a host that came by request has room for so many active accounts', async () => {
  using court = await openCourt(2)
  const requested = { ...HOST, requested: true }
  const repos = ['x', 'y', 'z'].map((seed) => new SignedRepo({ seed }))
  const decide = (repo: SignedRepo, host: EventHost, active = true): Decision => {
    const body = { seq: 1, did: repo.did, time: TIME, active }
    return court.decide(arrivedFrame('#account', body), host, identityOf(repo))
  }
  const [x, y, z] = repos as [SignedRepo, SignedRepo, SignedRepo]
  for (const repo of [x, y]) court.accounts.put(rowOf(decide(repo, requested)))
  assert.equal(short(decide(z, requested)), 'drop account-throttled')
  assert.equal(short(decide(z, HOST)), 'pass', 'one that the operator named has no limit')
  assert.equal(short(decide(x, requested)), 'pass', 'who is there may stay')
  // An account that went away has given up its place.
  court.accounts.put(rowOf(decide(x, requested, false)))
  court.accounts.put(rowOf(decide(z, requested)))
  assert.equal(short(decide(x, requested)), 'drop account-throttled')
  assert.equal(court.accounts.get(x.did)?.active, false)
})

test('I9: a host that came by request has room for ten times as many that are not active', async () => {
  using court = await openCourt(2)
  const requested = { ...HOST, requested: true }
  for (let id = 1; id <= 19; id++) {
    const did = `did:plc:${String(id).padStart(24, 'b')}`
    court.accounts.put(accountRow({ id, did, active: false, status: 'deactivated' }))
  }
  const decide = (seed: string, host: EventHost): Decision => {
    const repo = new SignedRepo({ seed })
    const body = { seq: 1, did: repo.did, time: TIME, active: false, status: 'deactivated' }
    return court.decide(arrivedFrame('#account', body), host, identityOf(repo))
  }
  court.accounts.put({ ...rowOf(decide('the twentieth', requested)), id: 20 })
  assert.equal(court.accounts.allOf(HOST.id), 20)
  assert.equal(court.accounts.activeOf(HOST.id), 0)
  assert.equal(short(decide('one more', requested)), 'drop account-throttled')
  assert.equal(short(decide('the twentieth', requested)), 'pass', 'who is there may stay')
  assert.equal(short(decide('one more', HOST)), 'pass', 'one that the operator named has no limit')
})

test('an account is moved to the host it is at now', async () => {
  using court = await openCourt()
  const repo = new SignedRepo({ seed: 'judge moves' })
  const known = accountRow({ did: repo.did, hostId: 2, rev: '3kabcdefghijk' })
  court.accounts.put(known)
  const frame = arrivedFrame('#identity', { seq: 1, did: repo.did, time: TIME })
  const row = rowOf(court.decide(frame, HOST, identityOf(repo)))
  assert.deepEqual(row, { ...known, hostId: 1 })
})

test('the seq from which an account is inactive stays until it is active again', () => {
  const active = accountRow()
  const away = withStatus(active, { active: false, status: 'deactivated' }, 5)
  assert.deepEqual([away.active, away.status, away.inactiveSeq], [false, 'deactivated', 5])
  const deleted = withStatus(away, { active: false, status: 'deleted' }, 8)
  assert.deepEqual([deleted.status, deleted.inactiveSeq], ['deleted', 5])
  const back = withStatus(deleted, { active: true }, 9)
  assert.deepEqual(back, active)
})
