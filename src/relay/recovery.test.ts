import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SignedRepo } from '../../test/support/signed-repo.ts'
import type { EventKind, IndexEntry, LogRecord } from '../log/log-types.ts'
import type { MessageBodies, MessageType } from '../stream/frame-types.ts'
import { encodeMessageFrame } from '../stream/own-frames.ts'
import { wrapFrame } from '../stream/wire-frame.ts'
import { Accounts } from './accounts.ts'
import { withStatus } from './judge.ts'
import { type OwnAct, ownOrigin, rowAfterOwn } from './own-events.ts'
import { catchUpState, hostPlaces, type RecoveryLog } from './recovery.ts'
import { accountRow, openMemoryStore } from './testing/fixtures.ts'

type Origin = Pick<IndexEntry, 'hostId' | 'hostEpoch' | 'hostSeq'>

const TIME = '2026-01-01T00:00:00Z'
const KINDS: Readonly<Record<MessageType, EventKind>> = {
  '#commit': 'commit',
  '#sync': 'sync',
  '#identity': 'identity',
  '#account': 'account',
}

/** A log in memory, of whatever is put into it. */
class FakeLog implements RecoveryLog {
  readonly records: LogRecord[] = []

  get durableSeq(): number {
    return this.records.length
  }

  add<T extends MessageType>(type: T, body: MessageBodies[T], origin: Partial<Origin> = {}): void {
    const seq = this.records.length + 1
    const frame = wrapFrame(encodeMessageFrame(type, { ...body, seq }))
    this.records.push({
      frame,
      entry: {
        seq,
        kind: KINDS[type],
        purged: false,
        offset: 0,
        length: frame.length,
        crc: 0,
        timeMs: seq,
        didHash: 0n,
        hostId: 1,
        hostEpoch: 0,
        hostSeq: seq,
        ...origin,
      },
    })
  }

  account(did: string, active: boolean, status?: string, origin: Partial<Origin> = {}): void {
    const body = { seq: 1, did, time: TIME, active, ...(status === undefined ? {} : { status }) }
    this.add('#account', body, origin)
  }

  purge(seq: number): void {
    const record = this.records[seq - 1]
    assert.ok(record !== undefined)
    const entry = { ...record.entry, purged: true }
    this.records[seq - 1] = { entry, frame: new Uint8Array() }
  }

  async *entriesAfter(seq: number): AsyncGenerator<LogRecord> {
    for (const record of this.records)
      if (record.entry.seq > seq) yield await Promise.resolve(record)
  }

  async *indexBackwards(): AsyncGenerator<IndexEntry> {
    for (const { entry } of [...this.records].reverse()) yield await Promise.resolve(entry)
  }
}

test('I8: state that is behind is brought up to the log, and no further the second time', async () => {
  using memory = await openMemoryStore()
  const { store } = memory
  memory.addHost('a.example.com')
  memory.addHost('b.example.com')
  const log = new FakeLog()
  const repo = new SignedRepo({ seed: 'recovery' })
  const other = new SignedRepo({ seed: 'recovery, other' })
  log.add('#commit', repo.apply([]))
  log.add('#identity', { seq: 1, did: other.did, time: TIME })
  log.add('#commit', repo.apply([]))
  const accounts = new Accounts(store)
  assert.equal(await catchUpState(log, store, accounts), 3)
  assert.equal(store.appliedSeq(), 3)
  assert.equal(store.account(repo.did)?.rev, repo.head?.rev)
  assert.deepEqual(store.account(repo.did)?.commit, repo.head?.commit)
  assert.deepEqual(store.account(repo.did)?.data, repo.head?.data)
  assert.equal(store.account(other.did)?.rev, null)
  assert.equal(await catchUpState(log, store, accounts), 0)
  // The next ones come from its new host; a sync is a head as well.
  log.account(repo.did, false, 'deactivated', { hostId: 2 })
  other.apply([])
  log.add('#sync', other.sync())
  assert.equal(await catchUpState(log, store, accounts), 2)
  const row = store.account(repo.did)
  assert.deepEqual([row?.hostId, row?.status, row?.inactiveSeq], [2, 'deactivated', 4])
  assert.equal(store.account(other.did)?.rev, other.head?.rev)
  assert.deepEqual(accounts.get(repo.did), row, 'nothing stays pinned')
  assert.deepEqual([accounts.activeOf(1), accounts.activeOf(2)], [1, 0])
})

test('I8: recovery comes to the rows that the relay had', async () => {
  const did = 'did:plc:x'
  // Every way of statuses and acts of the relay between them, three steps long.
  const steps = [
    'active',
    'deactivated',
    'takendown',
    'takedown',
    'reversal',
    'correction',
  ] as const
  for (const first of steps) {
    for (const second of steps) {
      for (const third of steps) {
        using memory = await openMemoryStore()
        memory.addHost('a.example.com')
        const log = new FakeLog()
        log.account(did, true)
        let row = accountRow({ did })
        for (const [i, step] of [first, second, third].entries()) {
          const seq = i + 2
          if (step === 'takedown' || step === 'reversal' || step === 'correction') {
            row = act(log, row, step, seq)
          } else {
            const body =
              step === 'active' ? { active: true } : { active: false, status: step as string }
            log.account(did, body.active, step === 'active' ? undefined : step)
            row = withStatus(row, body, seq)
          }
        }
        await catchUpState(log, memory.store, new Accounts(memory.store))
        assert.deepEqual(memory.store.account(did), row, `${first}, ${second}, ${third}`)
      }
    }
  }
})

/** What the relay does of itself. */
function act(
  log: FakeLog,
  row: ReturnType<typeof accountRow>,
  step: OwnAct,
  seq: number,
): ReturnType<typeof accountRow> {
  const { active, status } = row
  const told =
    step === 'takedown'
      ? { active: false, status: 'takendown' }
      : step === 'correction'
        ? { active: true }
        : { active, ...(status === null ? {} : { status }) }
  log.account(row.did, told.active, told.status, ownOrigin(step, row))
  return rowAfterOwn(step, row, told, seq)
}

test('I11: a takedown is kept although everything that made the account known is purged', async () => {
  using memory = await openMemoryStore()
  const { store } = memory
  memory.addHost('a.example.com')
  const host = memory.addHost('b.example.com')
  const log = new FakeLog()
  const repo = new SignedRepo({ seed: 'purged' })
  log.add('#commit', repo.apply([]), { hostId: host.id })
  const origin = ownOrigin('takedown', accountRow({ hostId: host.id }))
  log.account(repo.did, false, 'takendown', origin)
  log.purge(1)
  await catchUpState(log, store, new Accounts(store))
  const row = store.account(repo.did)
  assert.deepEqual([row?.takendown, row?.hostId, row?.inactiveSeq], [true, host.id, 2])
})

test('damage to our own log stops the start loudly', async () => {
  using memory = await openMemoryStore()
  const { store } = memory
  memory.addHost('a.example.com')
  const repo = new SignedRepo({ seed: 'damage' })
  const blank = new FakeLog()
  blank.add('#commit', repo.apply([]))
  blank.records[0]?.frame.fill(0)
  const headless = new FakeLog()
  const body = repo.apply([])
  const cut = new Uint8Array(body.blocks.buf.subarray(0, 70))
  headless.add('#commit', { ...body, blocks: cut as unknown as typeof body.blocks })
  for (const log of [blank, headless]) {
    const caughtUp = catchUpState(log, store, new Accounts(store))
    await assert.rejects(caughtUp, { code: 'LOG_DAMAGED' })
  }
  assert.equal(store.appliedSeq(), 0)
  // State that has seen more than the log holds belongs to another log.
  store.apply({ accounts: [], hosts: [], appliedSeq: 7 })
  const shorter = catchUpState(new FakeLog(), store, new Accounts(store))
  await assert.rejects(shorter, { code: 'LOG_DAMAGED' })
})

test('I7: what the log holds over a host’s cursor is found, as far back as state says', async () => {
  using memory = await openMemoryStore()
  const { store } = memory
  const a = memory.addHost('a.example.com')
  const b = memory.addHost('b.example.com')
  const c = memory.addHost('c.example.com')
  const log = new FakeLog()
  const add = (hostId: number, hostSeq: number, hostEpoch = 0): void =>
    log.account('did:plc:x', true, undefined, { hostId, hostEpoch, hostSeq })
  add(a.id, 5) // 1
  add(a.id, 8) // 2: over the cursor of a, and decided before state was saved
  add(b.id, 3) // 3
  add(a.id, 7) // 4
  add(b.id, 4) // 5: state has not heard of it
  add(b.id, 2, 1) // 6: nor of the new epoch of b
  add(0, 99) // 7: our own
  add(c.id, 1) // 8: c has no cursor yet
  const progress = { epoch: 0, lastEventAtMs: null }
  store.apply({
    accounts: [],
    hosts: [
      { ...progress, id: a.id, cursor: 6, aheadFromSeq: 2 },
      { ...progress, id: b.id, cursor: 3, aheadFromSeq: null },
    ],
    appliedSeq: 4,
  })
  const places = await hostPlaces(log, store.hosts(), store.appliedSeq())
  const place = (hostId: number) => {
    const { epoch, cursor, ahead } = places.get(hostId) ?? assert.fail('a place')
    return { epoch, cursor, ahead: new Map([...ahead].sort(([x], [y]) => x - y)) }
  }
  assert.deepEqual(place(a.id), {
    epoch: 0,
    cursor: 6,
    ahead: new Map([
      [7, 4],
      [8, 2],
    ]),
  })
  assert.deepEqual(place(b.id), { epoch: 1, cursor: 0, ahead: new Map([[2, 6]]) })
  assert.deepEqual(place(c.id), { epoch: 0, cursor: null, ahead: new Map([[1, 8]]) })
})

test('I7: killed after it has caught up, a relay still finds what its log holds of each host', async () => {
  using memory = await openMemoryStore()
  const { store } = memory
  for (const name of ['a', 'b', 'c']) memory.addHost(`${name}.example.com`)
  const before = { epoch: 0, aheadFromSeq: null, lastEventAtMs: 7 }
  const hosts = [
    { ...before, id: 1, cursor: 10 },
    { ...before, id: 2, cursor: 20 },
    { ...before, id: 3, cursor: 30 },
  ]
  const log = new FakeLog()
  log.account('did:plc:b', true, undefined, { hostId: 2, hostSeq: 20 })
  store.apply({ accounts: [], hosts, appliedSeq: 1 })
  log.account('did:plc:a', true, undefined, { hostId: 1, hostSeq: 11 })
  log.account('did:plc:a', true, undefined, { hostId: 1, hostSeq: 12 })
  // The host has started its sequence over, and state was lost before it heard of it.
  log.account('did:plc:b', true, undefined, { hostId: 2, hostEpoch: 1, hostSeq: 2 })

  const found = async (): Promise<unknown> => {
    const places = await hostPlaces(log, store.hosts(), store.appliedSeq())
    return [...places.values()].map(({ epoch, cursor, ahead }) => {
      const seqs = [...ahead].map(([hostSeq, seq]) => `${hostSeq} is ${seq}`)
      return [epoch, cursor, seqs.sort().join()]
    })
  }
  const wanted = [
    [0, 10, '11 is 2,12 is 3'],
    [1, 0, '2 is 4'],
    [0, 30, ''],
  ]
  assert.deepEqual(await found(), wanted)
  // Each start catches up, and is killed before any host has said anything.
  for (let start = 0; start < 2; start++) {
    await catchUpState(log, store, new Accounts(store))
    assert.equal(store.appliedSeq(), 4)
    assert.deepEqual(await found(), wanted)
  }
  const rows = store.hosts().map(({ aheadFromSeq, lastEventAtMs }) => [aheadFromSeq, lastEventAtMs])
  assert.deepEqual(rows, [
    [2, 7],
    [4, 7],
    [null, 7],
  ])
})
