/** Honest commits are accepted; with one thing changed each is refused for its own reason. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { BytesWrapper } from '@atcute/cbor'

import {
  blockOf,
  blocksOf,
  commitContent,
  linkTo,
  withCar,
} from '../../test/support/hostile-commit.ts'
import {
  type CommitBody,
  randomWrites,
  SignedRepo,
  type SyncBody,
  withBlocks,
} from '../../test/support/signed-repo.ts'
import {
  example,
  judge,
  NOW_MS,
  PATH,
  reasonOf,
  verifier,
} from '../../test/support/judged-commit.ts'
import { valueOf } from '../../test/support/tree-parts.ts'
import { type Curve, CURVES } from '../crypto/curve.ts'
import { PrivateKey } from '../crypto/private-key.ts'
import { encodeDrisl } from '../data/drisl-encode.ts'
import { must } from '../lib/assert.ts'
import { concatBytes } from '../lib/bytes.ts'
import { seededRandom } from '../lib/random.ts'
import { tidMicros, tidOf, toTid } from '../syntax/tid.ts'
import { commitAgainstHead, type Head, syncAgainstHead } from './head.ts'
import { verifyCommit, verifySync } from './verify.ts'

test('random repositories of both curves: every commit and sync is accepted, in sequence', () => {
  for (const curve of CURVES) {
    for (let seed = 0; seed < 4; seed++) {
      const repo = new SignedRepo({ seed: `random ${seed}`, curve })
      const random = seededRandom(seed)
      const key = repo.key.publicKey
      let head: Head | null = null
      for (let i = 0; i < 25; i++) {
        const recordsBefore = repo.records()
        const writes =
          i === 0 && seed % 2 === 0 ? [] : randomWrites(repo, random, i === 9 ? 150 : 5)
        const body = repo.apply(writes)
        const verdict = judge(body, key)
        assert.ok(verdict.ok, verdict.ok ? '' : `${verdict.reason} ${verdict.detail}`)
        const { value } = verdict
        const now = must(repo.head, 'head')
        assert.deepEqual(value.commit, now.commit)
        assert.deepEqual(value.data, now.data)
        assert.deepEqual([value.did, value.rev, value.since], [repo.did, now.rev, body.since])
        assert.deepEqual(value.prevData, body.prevData?.bytes ?? null)
        assert.deepEqual(value.warnings, [])
        for (const { path, before: was, after } of value.changes) {
          assert.deepEqual(was, recordsBefore.get(path) ?? null)
          assert.deepEqual(after, repo.records().get(path) ?? null)
        }
        assert.equal(value.changes.length, writes.length)
        assert.equal(commitAgainstHead(head, value).outcome, 'continues')
        head = { rev: value.rev, commit: value.commit, data: value.data }
        const sync = verifySync(repo.sync(), { key, verifier, nowMs: NOW_MS })
        assert.ok(sync.ok)
        assert.equal(syncAgainstHead(head, sync.value).outcome, 'same')
      }
    }
  }
})

test('what a verdict gives out does not share the bytes of the event', () => {
  const { repo, good } = example()
  const verdict = judge(good, repo.key.publicKey)
  assert.ok(verdict.ok)
  const { commit, data, prevData } = verdict.value
  const copies = [commit.slice(), data.slice(), must(prevData, 'prevData').slice()]
  good.blocks.buf.fill(0)
  must(good.prevData, 'prevData').bytes.fill(0)
  assert.deepEqual([commit, data, prevData], copies)
})

test('blocks in any order, repeated, and ones that nobody needs are tolerated', () => {
  const { repo, good } = example()
  const key = repo.key.publicKey
  const blocks = blocksOf(good)
  assert.equal(reasonOf(judge(withCar(good, blocks.toReversed()), key)), 'ok')
  assert.equal(reasonOf(judge(withCar(good, [...blocks, ...blocks]), key)), 'ok')
  const strange = [blockOf(Uint8Array.of(0xff)), blockOf(encodeDrisl({ not: 'needed' }))]
  const more = { ...good, blocks: new BytesWrapper(withBlocks(good.blocks.buf, strange)) }
  assert.equal(reasonOf(judge(more, key)), 'ok')
  assert.equal(reasonOf(judge(withCar(good, blocks, [good.commit.bytes, valueOf(1)]), key)), 'ok')
})

test('any single block left out is noticed', () => {
  const { repo, good } = example()
  const blocks = blocksOf(good)
  const reasons = blocks.map((_, i) =>
    reasonOf(judge(withCar(good, blocks.toSpliced(i, 1)), repo.key.publicKey)),
  )
  assert.equal(reasons[0], 'car-root-missing')
  assert.equal(reasons.filter((reason) => reason === 'op-record-missing').length, 2)
  // A neighbour may not be needed: the operations are undone in an order that takes fewer nodes.
  for (const reason of reasons.slice(1)) {
    assert.ok(['op-record-missing', 'mst-block-missing', 'ok'].includes(reason), reason)
  }
  assert.ok(reasons.includes('mst-block-missing'))
})

test('the key: of another account, of the other curve, the one before a rotation', () => {
  for (const curve of CURVES) {
    const { repo, good } = example(curve)
    const stranger = new SignedRepo({ seed: 'stranger', curve })
    assert.equal(reasonOf(judge(good, repo.key.publicKey)), 'ok')
    assert.equal(reasonOf(judge(good, stranger.key.publicKey)), 'signature-invalid')
    const other = new SignedRepo({ seed: 'example', curve: curve === 'k256' ? 'p256' : 'k256' })
    const verdict = reasonOf(judge(good, other.key.publicKey))
    // The other curve has another half order: a low S there may be a high one here.
    assert.ok(verdict === 'signature-invalid' || verdict === 'signature-high-s', verdict)
    const old = repo.key.publicKey
    repo.rotateKey('rotated')
    const next = repo.apply([])
    assert.equal(reasonOf(judge(next, repo.key.publicKey)), 'ok')
    assert.equal(reasonOf(judge(next, old)), 'signature-invalid')
  }
})

const ORDER: Readonly<Record<Curve, bigint>> = {
  k256: 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n,
  p256: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
}

test('the other signature over the same commit, with a high S', () => {
  for (const curve of CURVES) {
    const { repo, good } = example(curve)
    const content = commitContent(repo, good)
    const sig = repo.key.sign(encodeDrisl(content))
    const s = BigInt(`0x${Buffer.from(sig.subarray(32)).toString('hex')}`)
    const high = Buffer.from((ORDER[curve] - s).toString(16).padStart(64, '0'), 'hex')
    const sign = (bytes: Uint8Array): CommitBody => {
      const commit = blockOf(encodeDrisl({ ...content, sig: bytes }))
      const rest = blocksOf(good).slice(1)
      return { ...withCar(good, [commit, ...rest], [commit.cid]), commit: linkTo(commit) }
    }
    assert.equal(reasonOf(judge(sign(sig), repo.key.publicKey)), 'ok')
    const malleated = concatBytes([sig.subarray(0, 32), high])
    assert.equal(reasonOf(judge(sign(malleated), repo.key.publicKey)), 'signature-high-s')
    const short = sign(sig.subarray(0, 63))
    assert.equal(reasonOf(judge(short, repo.key.publicKey)), 'signature-malformed')
  }
})

test('fields that a commit object has beyond the known ones are signed with it', () => {
  const { repo, good } = example()
  const content = { ...commitContent(repo, good), future: { nested: [1, 2] }, a: 'first' }
  const around = (signed: object, sent: object): string => {
    const commit = blockOf(encodeDrisl({ ...sent, sig: repo.key.sign(encodeDrisl(signed)) }))
    const body = withCar(good, [commit, ...blocksOf(good).slice(1)], [commit.cid])
    return reasonOf(judge({ ...body, commit: linkTo(commit) }, repo.key.publicKey))
  }
  assert.equal(around(content, content), 'ok')
  assert.equal(around(content, { ...content, a: 'second' }), 'signature-invalid')
  assert.equal(around(commitContent(repo, good), content), 'signature-invalid')
})

test('a commit of somebody else under this name', () => {
  const { good } = example()
  const other = new SignedRepo({ seed: 'other' })
  other.apply([])
  const body = other.apply([{ action: 'create', path: PATH, record: {} }])
  const key = other.key.publicKey
  assert.equal(reasonOf(judge(body, key)), 'ok')
  assert.equal(reasonOf(judge({ ...body, repo: good.repo }, key)), 'commit-did-mismatch')
})

test('revs: ahead of the clock, not a TID, another than the commit says', () => {
  const { repo, good } = example()
  const key = repo.key.publicKey
  const signedMs = Date.parse(good.time)
  assert.equal(reasonOf(judge(good, key, {}, signedMs - 299_000)), 'ok')
  assert.equal(reasonOf(judge(good, key, {}, signedMs - 301_000)), 'rev-future')
  assert.equal(reasonOf(judge({ ...good, rev: 'zzzzzzzzzzzzz' }, key)), 'rev-invalid')
  assert.equal(reasonOf(judge({ ...good, rev: '' }, key)), 'rev-invalid')
  assert.equal(reasonOf(judge({ ...good, since: 'never' }, key)), 'rev-invalid')
  assert.equal(reasonOf(judge({ ...good, rev: tidOf(1, 1) }, key)), 'commit-rev-mismatch')
  const later = tidOf(tidMicros(toTid(good.rev)) + 1, 1)
  assert.equal(reasonOf(judge({ ...good, rev: later }, key)), 'commit-rev-mismatch')
})

/** An honest commit of one record made of any bytes. */
function recordOf(block: Uint8Array): string {
  const repo = new SignedRepo({ seed: 'records' })
  repo.apply([])
  return reasonOf(judge(repo.apply([{ action: 'create', path: PATH, block }]), repo.key.publicKey))
}

/** A record of this many bytes. */
function padded(length: number): Uint8Array {
  const overhead = encodeDrisl({ a: new Uint8Array(length - 100) }).length - (length - 100)
  return encodeDrisl({ a: new Uint8Array(length - overhead) })
}

test('records: floats, depth, size, and what is no map', () => {
  assert.equal(recordOf(encodeDrisl({})), 'ok')
  assert.equal(padded(1_000_000).length, 1_000_000)
  assert.equal(recordOf(padded(1_000_000)), 'ok')
  assert.equal(recordOf(padded(1_000_001)), 'op-record-too-large')
  const float = Uint8Array.of(0xa1, 0x61, 0x61, 0xfb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0)
  assert.equal(recordOf(float), 'op-record-malformed')
  assert.equal(recordOf(new Uint8Array(200_000).fill(0x81)), 'op-record-malformed')
  const deepMap = concatBytes([Uint8Array.of(0xa1, 0x61, 0x61), new Uint8Array(200_000).fill(0x81)])
  assert.equal(recordOf(deepMap), 'op-record-malformed')
  assert.equal(recordOf(encodeDrisl([])), 'op-record-malformed')
  assert.equal(recordOf(encodeDrisl('text')), 'op-record-malformed')
  assert.equal(recordOf(new Uint8Array(0)), 'op-record-malformed')
  assert.equal(recordOf(Uint8Array.of(0xa0, 0x00)), 'op-record-malformed')
})

test('blocks too large as a whole', () => {
  const { repo, good } = example()
  const most = 2_000_000 - good.blocks.buf.length
  const fill = (length: number): CommitBody => {
    const frame = withBlocks(good.blocks.buf, [blockOf(new Uint8Array(length))]).length
    const overhead = frame - good.blocks.buf.length - length
    const block = blockOf(new Uint8Array(length - overhead))
    return { ...good, blocks: new BytesWrapper(withBlocks(good.blocks.buf, [block])) }
  }
  assert.equal(fill(most).blocks.buf.length, 2_000_000)
  assert.equal(reasonOf(judge(fill(most), repo.key.publicKey)), 'ok')
  assert.equal(reasonOf(judge(fill(most + 1), repo.key.publicKey)), 'blocks-too-large')
})

test('the stages are told in their order', () => {
  const { repo, good } = example()
  const stages: string[] = []
  const context = { key: repo.key.publicKey, verifier, nowMs: NOW_MS }
  const onStage = (stage: string): void => void stages.push(stage)
  verifyCommit(good, { ...context, onStage })
  const all = ['fields', 'car', 'commit', 'signature', 'operations', 'tree']
  assert.deepEqual(stages, all)
  stages.length = 0
  const { publicKey } = PrivateKey.import('k256', new Uint8Array(32).fill(1))
  verifyCommit(good, { ...context, key: publicKey, onStage })
  assert.deepEqual(stages, all.slice(0, 3))
})

test('syncs: each thing changed ends in its own reason', () => {
  const { repo } = example()
  const key = repo.key.publicKey
  const sync = repo.sync()
  const of = (change: Partial<SyncBody>, nowMs: number = NOW_MS): string =>
    reasonOf(verifySync({ ...sync, ...change }, { key, verifier, nowMs }))
  assert.equal(of({}), 'ok')
  assert.equal(of({ did: 'did:plc:bbbbbbbbbbbbbbbbbbbbbbbb' }), 'commit-did-mismatch')
  assert.equal(of({ rev: tidOf(1, 1) }), 'commit-rev-mismatch')
  assert.equal(of({ rev: 'no TID' }), 'rev-invalid')
  assert.equal(of({}, Date.parse(sync.time) - 301_000), 'rev-future')
  assert.equal(of({ blocks: new BytesWrapper(new Uint8Array(0)) }), 'car-malformed')
  const larger = withBlocks(sync.blocks.buf, [blockOf(new Uint8Array(10_000))])
  assert.equal(of({ blocks: new BytesWrapper(larger) }), 'blocks-too-large')
  const bytes = sync.blocks.buf
  const flipped = bytes.with(bytes.length - 1, (bytes.at(-1) ?? 0) ^ 1)
  assert.equal(of({ blocks: new BytesWrapper(flipped) }), 'car-hash-mismatch')
  const { publicKey } = PrivateKey.import('k256', new Uint8Array(32).fill(1))
  const verdict = verifySync(sync, { key: publicKey, verifier, nowMs: NOW_MS })
  assert.equal(reasonOf(verdict), 'signature-invalid')
  const commit = blockOf(encodeDrisl({ version: 3 }))
  const malformed = withCar(repo.apply([]), [commit], [commit.cid]).blocks
  assert.equal(of({ blocks: malformed }), 'commit-malformed')
})
