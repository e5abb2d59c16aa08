import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readCarWithRoot, verifyRepo } from '@atproto/repo'

import { randomWrites } from '../../test/support/signed-repo.ts'
import { formatDidKey } from '../crypto/public-key.ts'
import { cidToString } from '../data/cid.ts'
import { must } from '../lib/assert.ts'
import { streamOf } from './distributions.ts'
import { startNetwork } from './network.ts'
import { type RepoWrite, SignedRepo } from './signed-repo.ts'
import { growTemplate } from './templates.ts'

/** What a repository held as of a rev: records by path, and the text of the CIDs of its nodes. */
interface State {
  readonly rev: string
  readonly records: ReadonlyMap<string, string>
  readonly nodes: ReadonlySet<string>
  readonly commit: string
}

function stateOf(repo: SignedRepo): State {
  const { rev, commit } = must(repo.head, 'head')
  const records = new Map([...repo.records()].map(([path, cid]) => [path, cidToString(cid)]))
  const values = new Set(records.values())
  const [, ...texts] = [...repo.exportBlocks()].map(({ cid }) => cidToString(cid))
  const nodes = new Set(texts.filter((text) => !values.has(text)))
  return { rev, records, nodes, commit: cidToString(commit) }
}

/**
 * What an export from a rev on must hold, found by looking at every state since: what has not been
 * there in all of them.
 *
 * @param from Number of the state of the rev; -1 for the empty repository.
 */
function newSince(states: readonly State[], from: number): Set<string> {
  const head = must(states.at(-1), 'state')
  const seen = from < 0 ? null : states.slice(from)
  const stayed = (holds: (state: State) => boolean): boolean => seen !== null && seen.every(holds)
  const found = new Set([head.commit])
  for (const node of head.nodes) if (!stayed(({ nodes }) => nodes.has(node))) found.add(node)
  for (const [path, cid] of head.records) {
    if (!stayed(({ records }) => records.get(path) === cid)) found.add(cid)
  }
  return found
}

function exported(repo: SignedRepo, since: string): string[] {
  return [...repo.exportBlocks(since)].map(({ cid }) => cidToString(cid))
}

function checkAll(repo: SignedRepo, states: readonly State[]): void {
  const head = must(states.at(-1), 'state')
  for (const [number, { rev }] of states.entries()) {
    const blocks = exported(repo, rev)
    assert.equal(blocks[0], head.commit)
    assert.deepEqual(new Set(blocks), newSince(states, number), `since state ${number}`)
    assert.equal(new Set(blocks).size, blocks.length, 'each block once')
    // A rev that nobody knows stands for the one before it.
    assert.deepEqual(exported(repo, `${rev}~`), blocks)
  }
  assert.deepEqual(exported(repo, 'zzzzzzzzzzzzz'), [head.commit])
  assert.deepEqual(new Set(exported(repo, '2222222222222')), newSince(states, -1))
}

for (const keep of ['head', 'everything'] as const) {
  test(`an export from any rev on holds what came since, ${keep} kept`, () => {
    const random = streamOf(3, 'writes')
    const past = streamOf(3, 'past')
    const options = { count: 40, untilMs: 1e12, someone: () => 'did:plc:x', blobBytes: 100 }
    const template = growTemplate(past, options).repo
    const repo = new SignedRepo({ seed: 'export', keep, template })
    const states = [stateOf(repo)]
    const apply = (writes: readonly RepoWrite[]): void => {
      repo.apply(writes)
      states.push(stateOf(repo))
    }
    for (let i = 0; i < 40; i++) {
      apply(randomWrites(repo, random, 4))
      if (i % 4 === 0) apply([])
      if (i % 3 !== 0) continue
      // As it was, and again: nodes and the record come back.
      const path = `org.example.note/again${i % 2}`
      const record = { text: 'the same every time' }
      apply([{ action: 'create', path, record }])
      apply([{ action: 'update', path, record: { text: `other ${i}` } }])
      apply([{ action: 'update', path, record }])
      apply([{ action: 'delete', path }])
    }
    checkAll(repo, states)
  })
}

test('a repository that is emptied and filled again', () => {
  const repo = new SignedRepo({ seed: 'empty', keep: 'head' })
  const states: State[] = []
  const write = (...writes: RepoWrite[]): void => {
    repo.apply(writes)
    states.push(stateOf(repo))
  }
  const path = 'org.example.note/a'
  write()
  write({ action: 'create', path, record: { n: 1 } })
  write({ action: 'delete', path })
  write()
  write({ action: 'create', path, record: { n: 1 } })
  checkAll(repo, states)
  write({ action: 'delete', path })
  checkAll(repo, states)
})

test('blocks that were let go are not missed', () => {
  const repo = new SignedRepo({ seed: 'long', keep: 'head' })
  const states: State[] = []
  let first: Uint8Array | null = null
  for (let i = 0; i < 1_500; i++) {
    const path = `org.example.note/n${i % 50}`
    const action = repo.has(path) ? 'update' : 'create'
    repo.apply([{ action, path, record: { i } }])
    first ??= must(repo.head, 'head').commit
    if (i > 1_440) states.push(stateOf(repo))
  }
  assert.equal(repo.find(must(first, 'commit')), null)
  checkAll(repo, states)
})

const NETWORK = {
  hosts: 1,
  accounts: 6,
  records: 200,
  changes: 0,
  startMs: Date.UTC(2026, 0, 1),
} as const

async function readCar(answer: Response): ReturnType<typeof readCarWithRoot> {
  return readCarWithRoot(new Uint8Array(await answer.arrayBuffer()))
}

test('getRepo: with what came since, an old copy becomes the whole repository', async () => {
  await using network = await startNetwork(NETWORK)
  const { accounts } = network.simulation
  const call = async (did: string, since = ''): Promise<Response> => {
    const { endpoint } = must(network.hosts[0], 'host')
    return fetch(`${endpoint}/xrpc/com.atproto.sync.getRepo?did=${did}${since}`)
  }
  const copies = await Promise.all(accounts.map(async ({ did }) => readCar(await call(did))))
  const revs = accounts.map(({ repo }) => must(repo.head, 'head').rev)
  await network.run({ events: 150, pace: 'free' })
  for (const [i, { did, repo }] of accounts.entries()) {
    const fresh = await readCar(await call(did, `&since=${revs[i]}`))
    const whole = await readCar(await call(did))
    const { blocks } = must(copies[i], 'copy')
    assert.ok(fresh.blocks.size < whole.blocks.size)
    blocks.addMap(fresh.blocks)
    const key = formatDidKey(repo.key.publicKey)
    const { creates } = await verifyRepo(blocks, fresh.root, did, key)
    assert.equal(creates.length, network.world.records(did).size)
    assert.equal(String(fresh.root), network.world.account(did)?.head?.commit)
    const newest = await readCar(await call(did, `&since=${network.world.account(did)?.head?.rev}`))
    assert.equal(newest.blocks.size, 1)
  }
})
