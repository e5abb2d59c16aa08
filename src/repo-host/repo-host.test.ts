import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadVerifier } from '../crypto/verifier.ts'
import { cidEquals } from '../data/cid.ts'
import { encodeDrisl } from '../data/drisl-encode.ts'
import { must } from '../lib/assert.ts'
import { OPS_MAX, RECORD_BYTES_MAX } from '../lib/limits.ts'
import { commitAgainstHead, type Head, syncAgainstHead } from '../repo/head.ts'
import { verifyRecordProof } from '../repo/record-proof.ts'
import { verifyCommit, verifySync } from '../repo/verify.ts'
import { SnapshotPool } from '../store/repo-snapshot.ts'
import type { RepoHost } from './repo-host.ts'
import type { RepoWrite } from './record-writes.ts'
import {
  brief,
  didOf,
  eventsOf,
  exportOf,
  good,
  HandClock,
  keyOf,
  openTestHost,
  proofCar,
} from './testing/test-host.ts'

const did = didOf('a')
const key = keyOf('a')
const verifier = await loadVerifier()

const note = (name: string): string => `org.example.note/${name}`
const create = (path: string, record: unknown): RepoWrite => ({ action: 'create', path, record })
const body = (n: number) => ({ record: { $type: 'org.example.note', n } })

async function hostWithAccount(clock = new HandClock()): Promise<RepoHost> {
  const host = await openTestHost({ clock })
  good(await host.createAccount({ did, key, handle: 'a.test' }))
  return host
}

/** The reason of a refusal. */
function reasonOf(result: { readonly ok: boolean; readonly reason?: string }): string | undefined {
  return result.ok ? 'ok' : result.reason
}

test('an account comes with identity, account, first commit and sync, in this order', async () => {
  await using host = await hostWithAccount()
  const events = await eventsOf(host)
  assert.deepEqual(brief(events), ['#identity a.test', '#account active', '#commit', '#sync'])
  const [, , commit, sync] = events
  assert(commit?.type === '#commit' && sync?.type === '#sync')
  assert.equal(commit.body.since, null)
  assert.equal(commit.body.prevData, undefined)
  assert.equal(sync.body.rev, commit.body.rev)
  assert.equal(host.log.publishedSeq, 4)
  assert.deepEqual(host.status(did), { did, active: true, rev: commit.body.rev })
})

test('every event verifies, and continues the one before', async () => {
  const clock = new HandClock()
  await using host = await hostWithAccount(clock)
  good(await host.putRecord(did, note('a'), body(1)))
  clock.advance(10)
  good(
    await host.applyWrites(did, [
      { action: 'create', path: note('b'), ...body(1) },
      { action: 'delete', path: note('a') },
    ]),
  )
  const second = keyOf('second', 'p256')
  const seqOfRotation = host.log.publishedSeq
  good(await host.rotateKey(did, second))
  good(await host.setStatus(did, 'deactivated'))
  good(await host.setStatus(did, 'active'))
  good(await host.putRecord(did, note('c'), body(3)))
  let head: Head | null = null
  for (const event of await eventsOf(host)) {
    if (event.type !== '#commit' && event.type !== '#sync') continue
    const used = event.seq > seqOfRotation ? second : key
    const context = { key: used.publicKey, verifier, nowMs: clock.nowMs() }
    const verdict =
      event.type === '#commit' ? verifyCommit(event.body, context) : verifySync(event.body, context)
    assert(verdict.ok, verdict.ok ? '' : `${event.seq} ${verdict.reason} ${verdict.detail}`)
    assert.deepEqual(verdict.value.warnings, [])
    const against = event.type === '#commit' ? commitAgainstHead : syncAgainstHead
    const { outcome } = against(head, verdict.value)
    assert.equal(outcome, event.type === '#commit' ? 'continues' : 'same', String(event.seq))
    head = verdict.value
  }
  assert.equal(head?.rev, must(host.latestCommit(did), 'head').rev)
})

test('statuses say so once, in order, and close and open the doors', async () => {
  await using host = await hostWithAccount()
  good(await host.putRecord(did, note('a'), body(1)))
  const before = host.log.publishedSeq
  for (const [status, refusal] of [
    ['deactivated', 'RepoDeactivated'],
    ['suspended', 'RepoSuspended'],
    ['takendown', 'RepoTakendown'],
  ] as const) {
    good(await host.setStatus(did, status))
    good(await host.setStatus(did, status))
    assert.equal(host.availability(did), refusal)
    assert.deepEqual(host.status(did), { did, active: false, status })
    assert.equal(reasonOf(await host.putRecord(did, note('b'), body(2))), 'RepoInactive')
  }
  good(await host.setStatus(did, 'active'))
  assert.deepEqual(brief(await eventsOf(host, before)), [
    '#account deactivated',
    '#account suspended',
    '#account takendown',
    '#identity a.test',
    '#account active',
    '#sync',
  ])
  assert.equal(host.availability(did), 'active')
  assert.equal(host.availability(didOf('z')), 'RepoNotFound')
})

test('replay leaves out what an inactive account wrote, and gives it back (I11)', async () => {
  await using host = await hostWithAccount()
  good(await host.putRecord(did, note('a'), body(1)))
  const framesReplayed = async (): Promise<number> => {
    let frames = 0
    let seq = 0
    for (let chunk = host.log.read(0, 1e9); chunk !== null; chunk = host.log.read(seq, 1e9)) {
      const { count, lastSeq } = await chunk
      frames += count
      seq = lastSeq
    }
    return frames
  }
  assert.equal(await framesReplayed(), 5)
  good(await host.setStatus(did, 'deactivated'))
  assert.equal(await framesReplayed(), 3, 'identity and the two accounts')
  good(await host.setStatus(did, 'active'))
  assert.equal(await framesReplayed(), 9)
})

test('a deleted account is gone but for its status, and may come back with later revs', async () => {
  const clock = new HandClock()
  await using host = await hostWithAccount(clock)
  good(await host.putRecord(did, note('a'), body(1)))
  const last = must(host.latestCommit(did), 'head').rev
  good(await host.setStatus(did, 'deleted'))
  assert.equal(host.availability(did), 'RepoNotFound')
  assert.deepEqual(host.status(did), { did, active: false, status: 'deleted' })
  assert.equal(host.latestCommit(did), null)
  assert.equal(host.repoCar(did, null), null)
  assert.deepEqual(host.listRepos(10, null), { items: [] })
  await host.log.purgesSettled()
  assert.deepEqual(brief(await eventsOf(host)), ['#account active', '#account deleted'])
  assert.equal(reasonOf(await host.setStatus(did, 'active')), 'RepoNotFound')
  const head = good(await host.createAccount({ did, key: keyOf('new'), handle: 'b.test' }))
  assert(head !== null && head.rev > last)
})

test('an account that moves in is silent until it is activated', async () => {
  await using host = await openTestHost()
  assert.equal(good(await host.createAccount({ did, key, status: 'deactivated' })), null)
  good(await host.updateHandle(did, 'a.test'))
  assert.equal(host.log.publishedSeq, 0)
  assert.equal(host.availability(did), 'RepoDeactivated')
  good(await host.setStatus(did, 'active'))
  assert.deepEqual(brief(await eventsOf(host)), [
    '#identity a.test',
    '#account active',
    '#commit',
    '#sync',
  ])
})

test('a handle that readers would refuse is not said', async () => {
  await using host = await hostWithAccount()
  const seq = host.log.publishedSeq
  for (const handle of ['', 'a', 'a b.test', 'ä.test', `${'a'.repeat(300)}.test`]) {
    assert.equal(reasonOf(await host.updateHandle(did, handle)), 'HandleInvalid', handle)
    const account = { did: didOf('b'), key, handle }
    assert.equal(reasonOf(await host.createAccount(account)), 'HandleInvalid', handle)
  }
  assert.equal(host.log.publishedSeq, seq)
  assert.equal(host.status(didOf('b')), null)
  good(await host.updateHandle(did, null))
  assert.deepEqual(brief(await eventsOf(host, seq)), ['#identity -'])
})

test('bytes of a record are the caller’s again once the call is made', async () => {
  await using host = await hostWithAccount()
  const block = encodeDrisl({ text: 'what was meant' })
  const call = host.putRecord(did, note('a'), { block })
  block.fill(0)
  good(await call)
  const claim = { did, path: note('a'), key: key.publicKey, verifier }
  assert.equal(verifyRecordProof(proofCar(host, did, note('a')), claim).ok, true)
})

test('a key is replaced with a commit of the same tree', async () => {
  await using host = await hostWithAccount()
  good(await host.putRecord(did, note('a'), body(1)))
  const before = must(host.latestCommit(did), 'head')
  const seq = host.log.publishedSeq
  const next = keyOf('next')
  good(await host.rotateKey(did, next))
  const after = must(host.latestCommit(did), 'head')
  assert(cidEquals(after.data, before.data) && after.rev > before.rev)
  assert.deepEqual(brief(await eventsOf(host, seq)), ['#identity a.test', '#commit', '#sync'])
  for (const [signer, expected] of [
    [next, true],
    [key, false],
  ] as const) {
    const claim = { did, path: note('a'), key: signer.publicKey, verifier }
    assert.equal(verifyRecordProof(proofCar(host, did, note('a')), claim).ok, expected)
  }
})

test('what leaves everything as it is makes no commit', async () => {
  await using host = await hostWithAccount()
  good(await host.putRecord(did, note('a'), body(1)))
  const seq = host.log.publishedSeq
  const answers = [
    await host.putRecord(did, note('a'), body(1)),
    await host.deleteRecord(did, note('missing')),
    await host.applyWrites(did, []),
    await host.applyWrites(did, [{ action: 'update', path: note('a'), ...body(1) }]),
  ]
  for (const answer of answers) assert.equal(good(answer).commit, null)
  assert.equal(host.log.publishedSeq, seq)
  const mixed: RepoWrite[] = [
    { action: 'update', path: note('a'), ...body(1) },
    { action: 'create', path: note('b'), ...body(2) },
  ]
  const { records } = good(await host.applyWrites(did, mixed))
  assert.deepEqual(
    records.map(({ action }) => action),
    ['update', 'create'],
  )
  assert.deepEqual(brief(await eventsOf(host, seq)), [`#commit create ${note('b')}`])
})

test('what cannot be done is refused, and changes nothing', async () => {
  await using host = await hostWithAccount()
  good(await host.putRecord(did, note('a'), body(1)))
  const head = must(host.latestCommit(did), 'head')
  const a = good(await host.putRecord(did, note('a'), body(1))).records[0]?.cid ?? null
  const seq = host.log.publishedSeq
  const ok = { action: 'create', path: note('good'), ...body(9) } as const
  const cases: [string, readonly RepoWrite[]][] = [
    ['RecordExists', [ok, create(note('a'), { n: 1 })]],
    ['RecordNotFound', [ok, { action: 'update', path: note('b'), ...body(1) }]],
    ['RecordNotFound', [ok, { action: 'delete', path: note('b') }]],
    ['PathRepeated', [ok, { action: 'delete', path: note('good') }]],
    ['PathInvalid', [ok, create('org.example.note', {})]],
    ['PathInvalid', [ok, create('org.example.note/..', {})]],
    ['PathInvalid', [ok, create(`org.example.note/${'x'.repeat(513)}`, {})]],
    ['RecordInvalid', [ok, create(note('b'), 'text')]],
    ['RecordInvalid', [ok, create(note('b'), { half: 0.5 })]],
    ['RecordInvalid', [ok, { action: 'create', path: note('b'), block: Uint8Array.of(0xa1) }]],
    ['RecordTooLarge', [ok, create(note('b'), { text: 'x'.repeat(RECORD_BYTES_MAX) })]],
    ['InvalidSwap', [{ action: 'update', path: note('a'), swapRecord: head.commit, ...body(2) }]],
    ['InvalidSwap', [{ action: 'delete', path: note('a'), swapRecord: null }]],
    [
      'TooManyWrites',
      Array.from({ length: OPS_MAX + 1 }, (_, i) => create(note(`m${i}`), { n: i })),
    ],
    ['CommitTooLarge', [1, 2, 3].map((n) => create(note(`l${n}`), { t: `${n}`.repeat(700_000) }))],
  ]
  for (const [reason, writes] of cases) {
    assert.equal(reasonOf(await host.applyWrites(did, writes)), reason)
  }
  const swapCommit = head.data
  assert.equal(reasonOf(await host.deleteRecord(did, note('a'), { swapCommit })), 'InvalidSwap')
  assert.equal(reasonOf(await host.putRecord(didOf('z'), note('a'), body(1))), 'RepoNotFound')
  assert.equal(reasonOf(await host.createAccount({ did, key })), 'AccountExists')
  assert.equal(reasonOf(await host.createAccount({ did: 'alice', key })), 'DidInvalid')
  assert.equal(host.log.publishedSeq, seq)
  assert.deepEqual(host.latestCommit(did), head)
  good(await host.deleteRecord(did, note('a'), { swapCommit: head.commit, swapRecord: a }))
  // A refused call has left the tree as it was: what comes next still verifies.
  const last = must((await eventsOf(host)).at(-1), 'event')
  assert(last.type === '#commit')
  const nowMs = Date.UTC(2026, 0, 1)
  assert.equal(verifyCommit(last.body, { key: key.publicKey, verifier, nowMs }).ok, true)
})

test('calls made at once keep their order, and share transactions', async () => {
  await using host = await hostWithAccount()
  const other = didOf('b')
  good(await host.createAccount({ did: other, key: keyOf('b') }))
  const seq = host.log.publishedSeq
  const calls = Array.from({ length: 300 }, (_, n) =>
    host.putRecord(n % 3 === 0 ? other : did, note('same'), body(n)),
  )
  const revs = (await Promise.all(calls)).map((answer) => good(answer).commit?.rev ?? '')
  const ofFirst = revs.filter((_, n) => n % 3 !== 0)
  assert.deepEqual(ofFirst, [...ofFirst].sort())
  assert.equal(new Set(ofFirst).size, 200)
  assert.equal(host.log.publishedSeq, seq + 300)
  const proof = must(host.recordProof(did, note('same')), 'proof')
  assert.equal(proof.present, true)
})

test('one account whose call goes wrong does not take others with it', async () => {
  const clock = new HandClock()
  await using host = await hostWithAccount(clock)
  const calls = [
    host.putRecord(did, note('a'), body(1)),
    host.applyWrites(did, [{ action: 'delete', path: note('none') }]),
    host.putRecord(did, note('b'), body(1)),
  ]
  const outcomes = (await Promise.all(calls)).map(reasonOf)
  assert.deepEqual(outcomes, ['ok', 'RecordNotFound', 'ok'])
})

test('revs rise although the clock stands still or goes back', async () => {
  const clock = new HandClock()
  await using host = await hostWithAccount(clock)
  let last = must(host.latestCommit(did), 'head').rev
  for (let n = 0; n < 5; n++) {
    clock.advance(-1_000)
    const { commit } = good(await host.putRecord(did, note('a'), body(n)))
    assert(commit !== null && commit.rev > last)
    last = commit.rev
  }
})

test('listRepos gives every repository once, page by page', async () => {
  await using host = await openTestHost()
  const dids = ['a', 'b', 'c', 'd', 'e'].map(didOf)
  for (const one of dids) good(await host.createAccount({ did: one, key: keyOf(one) }))
  good(await host.setStatus(didOf('b'), 'takendown'))
  good(await host.setStatus(didOf('c'), 'deleted'))
  const seen: string[] = []
  let cursor: string | null = null
  do {
    const page = host.listRepos(2, cursor)
    assert(page !== 'invalid-cursor')
    seen.push(...page.items.map((item) => `${item.did} ${item.status ?? 'active'}`))
    cursor = page.cursor ?? null
  } while (cursor !== null)
  const expected = ['a active', 'b takendown', 'd active', 'e active']
  assert.deepEqual(
    seen,
    expected.map((text) => `${didOf(text.slice(0, 1))}${text.slice(1)}`),
  )
  assert.equal(host.listRepos(2, 'x'), 'invalid-cursor')
})

test('a host that is closed refuses, and leaves nothing behind', async () => {
  const host = await hostWithAccount()
  const late = host.putRecord(did, note('a'), body(1))
  await host.close()
  good(await late)
  await assert.rejects(host.putRecord(did, note('b'), body(1)), { code: 'STOPPED' })
  await host.close()
})

test('exports and proofs of what is being written to come from one state', async () => {
  await using host = await hostWithAccount()
  for (let batch = 0; batch < 5; batch++) {
    const writes = Array.from({ length: 200 }, (_, i) => ({
      action: 'create' as const,
      path: note(`${batch}-${i}`),
      record: { text: 'x'.repeat(300), n: i },
    }))
    good(await host.applyWrites(did, writes))
  }
  const expected = await exportOf(host, did)
  const opened = host.repoCar(did, null)
  assert(opened !== null && opened !== 'busy')
  const pieces: Uint8Array[] = []
  let n = 0
  for await (const piece of opened.chunks) {
    pieces.push(piece)
    good(await host.putRecord(did, note(`during-${n++}`), body(n)))
    good(await host.deleteRecord(did, note(`0-${n}`)))
  }
  assert(pieces.length > 3)
  assert.equal(Buffer.compare(Buffer.concat(pieces), expected), 0)
})

test('exports are bounded in number, and end when the account is not served any more', async () => {
  await using host = await hostWithAccount()
  for (let n = 0; n < 300; n++) {
    void host.putRecord(did, note(`n${n}`), { record: { t: 'x'.repeat(1_000), n } })
  }
  good(await host.putRecord(did, note('last'), body(1)))
  const opened = Array.from({ length: 8 }, () => host.repoCar(did, null))
  assert.equal(host.repoCar(did, null), 'busy')
  const [first, ...rest] = opened
  for (const one of rest) if (one !== null && one !== 'busy' && one !== undefined) one.close()
  assert(first !== null && first !== 'busy' && first !== undefined)
  const chunks = first.chunks[Symbol.asyncIterator]()
  await chunks.next()
  good(await host.setStatus(did, 'takendown'))
  await assert.rejects(async () => {
    while ((await chunks.next()).done !== true);
  }, /REPO_UNAVAILABLE|not served/)
  // The owner may still export what is not served.
  assert((await exportOf(host, did)).length > 0)
  assert.equal(new SnapshotPool('none', 0).open(1), null)
})

test('what was deleted is not exported under the name of who has come back', async () => {
  await using host = await hostWithAccount()
  for (let n = 0; n < 300; n++) {
    void host.putRecord(did, note(`n${n}`), { record: { t: 'x'.repeat(1_000), n } })
  }
  good(await host.putRecord(did, note('last'), body(1)))
  const opened = host.repoCar(did, null)
  assert(opened !== null && opened !== 'busy')
  const chunks = opened.chunks[Symbol.asyncIterator]()
  await chunks.next()
  const gone = host.setStatus(did, 'deleted')
  const back = host.createAccount({ did, key: keyOf('again') })
  good(await gone)
  good(await back)
  await assert.rejects(async () => {
    while ((await chunks.next()).done !== true);
  }, /REPO_UNAVAILABLE|not served/)
})
