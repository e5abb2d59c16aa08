import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { readCarWithRoot, verifyRepo } from '@atproto/repo'

import { CHANGES, changeAccount } from './account-changes.ts'
import { parseCar } from '../data/car.ts'
import { formatDidKey } from '../crypto/public-key.ts'
import { must } from '../lib/assert.ts'
import { parseFrame } from '../stream/frame.ts'
import { streamOf } from './distributions.ts'
import { Liar, LIES } from './lies.ts'
import { Simulation, type SimulationOptions } from './simulation.ts'

const OPTIONS: SimulationOptions = {
  seed: 1,
  endpoints: ['http://localhost:1', 'http://localhost:2', 'http://localhost:3'],
  accounts: 20,
  records: 60,
  rate: 50,
  startMs: Date.UTC(2026, 0, 1),
  history: 'kept',
}

/** A simulation in which much has happened. */
function lived(options: Partial<SimulationOptions> = {}, events = 120): Simulation {
  const sim = new Simulation({ ...OPTIONS, ...options })
  const { seed } = sim.options
  const liar = new Liar(streamOf(seed, 'lies'))
  const changes = streamOf(seed, 'changes')
  for (let i = 0; i < events; i++) {
    sim.advanceTo(sim.nextArrivalMs())
    sim.traffic()
    if (i % 3 === 0) liar.tell(sim)
    if (i % 5 === 0) changeAccount(sim, changes, must(CHANGES[(i / 5) % CHANGES.length], 'kind'))
  }
  return sim
}

describe('equal options give equal bytes', () => {
  const digest = lived().digest()

  test('events, repositories and documents, every time', () => {
    assert.equal(lived().digest(), digest)
  })

  test('whatever the ports', () => {
    const endpoints = ['http://localhost:40001', 'http://localhost:40002', 'http://localhost:40003']
    assert.equal(lived({ endpoints }).digest(), digest)
  })

  test('and another seed gives others', () => {
    assert.notEqual(lived({ seed: 2 }).digest(), digest)
  })
})

test('what the world says of a repository is what another library finds in it', async () => {
  const sim = lived()
  let compared = 0
  for (const { did, repo } of sim.accounts) {
    if (repo.head === null) continue
    const { root, blocks } = await readCarWithRoot(repo.exportCar())
    const verified = await verifyRepo(blocks, root, did, formatDidKey(repo.key.publicKey))
    const found = new Map(
      verified.creates.map(({ collection, rkey, cid }) => [`${collection}/${rkey}`, String(cid)]),
    )
    const wanted = sim.world.records(did)
    assert.deepEqual(Object.fromEntries(found), Object.fromEntries(wanted), did)
    assert.equal(String(root), sim.world.account(did)?.head?.commit)
    assert.equal(verified.commit.rev, sim.world.account(did)?.head?.rev)
    for (const [path, cid] of wanted) assert.equal(sim.world.record(did, path), cid)
    assert.equal(sim.world.record(did, 'org.example.none/none'), null)
    compared++
  }
  assert.ok(compared >= 20)
})

test('blocks that are not used any more are let go, and the repository stays whole', async () => {
  const sim = new Simulation({ ...OPTIONS, accounts: 4, records: 30 })
  const account = must(sim.accounts[0], 'account')
  const first = must(account.repo.head, 'head').commit
  for (let i = 0; i < 900; i++) {
    const record = { $type: 'org.example.note', i }
    const path = `org.example.note/n${i % 40}`
    sim.commit(account, [{ action: account.repo.has(path) ? 'update' : 'create', path, record }])
  }
  assert.equal(account.repo.find(first), null)
  const { root, blocks } = await readCarWithRoot(account.repo.exportCar())
  const key = formatDidKey(account.repo.key.publicKey)
  const { creates } = await verifyRepo(blocks, root, account.did, key)
  assert.equal(creates.length, sim.world.records(account.did).size)
})

test('frames are as large as real ones: 5.4 KB and 10 blocks on thousands of records', () => {
  const sim = new Simulation({ ...OPTIONS, accounts: 8, records: 3_000 })
  for (let i = 0; i < 400; i++) {
    sim.advanceTo(sim.nextArrivalMs())
    sim.traffic()
  }
  let commits = 0
  let bytes = 0
  let blocks = 0
  for (const { log } of sim.hosts) {
    for (let next = log.after(0); next !== null; next = log.after(next.seq)) {
      const parsed = parseFrame(next.data as Uint8Array)
      assert(parsed.ok && parsed.value.kind === 'message')
      if (parsed.value.type !== '#commit') continue
      const car = parseCar(parsed.value.body.blocks.buf, { blocksMax: 10_000 })
      commits++
      bytes += parsed.value.bytes.length
      blocks += car.ok ? car.value.blocks.size : 0
    }
  }
  assert.ok(Math.abs(bytes / commits - 5_400) < 800, `${bytes / commits} bytes`)
  assert.ok(Math.abs(blocks / commits - 10) < 1.5, `${blocks / commits} blocks`)
})

test('every kind of change happens, and leaves the world as it says', () => {
  const sim = lived({}, 200)
  const statuses = new Set(sim.accounts.map(({ status }) => status))
  for (const status of ['active', 'takendown', 'deleted'])
    assert.ok(statuses.has(status as 'active'))
  for (const { did, status, host, handle } of sim.accounts) {
    const { head: _, ...account } = must(sim.world.account(did), 'account')
    assert.deepEqual(account, { did, status, host, handle })
    const state = must(sim.directory.state(did), 'state')
    assert.equal(state.endpoint, sim.host(host).endpoint)
    assert.equal(state.handle, handle)
  }
  assert.ok(sim.accounts.some(({ keys }) => keys > 1))
})

test('every lie can be told, has a sibling, and breaks nothing that is true', () => {
  const sim = new Simulation(OPTIONS)
  const liar = new Liar(streamOf(1, 'lies'))
  const changes = streamOf(1, 'changes')
  for (const { did } of sim.accounts) sim.commit(must(sim.account(did), 'account'), [])
  changeAccount(sim, changes, 'deactivate')
  for (let i = 0; i < 10; i++) changeAccount(sim, changes, 'rotate')
  const told = new Set<string>()
  for (let i = 0; i < LIES.length; i++) told.add(must(liar.tell(sim), 'lie').name)
  assert.equal(told.size, LIES.length)
  const ids = new Set(sim.accounts.flatMap(({ did }) => sim.world.events(did).map(({ id }) => id)))
  for (const { lie, sibling } of sim.ledger.entries) assert.ok(ids.has(sibling), lie)
  for (const { host, hostSeq, lie } of sim.ledger.entries) {
    assert.equal(sim.host(host).log.after(hostSeq - 1)?.lie?.lie, lie)
  }
})
