import assert from 'node:assert/strict'
import { cp, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { bytesEqual } from '../../src/lib/bytes.ts'
import { must } from '../../src/lib/assert.ts'
import { seededRandom } from '../../src/lib/random.ts'
import { cidToString } from '../../src/data/cid.ts'
import { TemporaryDirectory } from '../../src/ops/temporary-directory.ts'
import { FakeHost } from '../support/fake-host.ts'
import { FakePlc } from '../support/fake-plc.ts'
import { faultsOf, MarkedEvents } from '../support/marked-events.ts'
import { didOf, RelayClient, replay, type ReceivedFrame } from '../support/relay-client.ts'
import { RelayProcess, type RelayProcessOptions } from '../support/relay-process.ts'
import type { SignedRepo } from '../support/signed-repo.ts'
import { createAccount } from '../support/world.ts'

/** Lives that end in a kill in mid-stream; each is followed by one that ends in another kill. */
const LIVES = 5
const STATE_FILES = ['state.sqlite', 'state.sqlite-wal', 'state.sqlite-shm']

/** A host, accounts and their events, and a place for relays to work in. */
async function setUp(
  stack: AsyncDisposableStack,
  seed: string,
): Promise<{
  readonly plc: FakePlc
  readonly host: FakeHost
  readonly repos: readonly SignedRepo[]
  readonly events: MarkedEvents
  readonly options: RelayProcessOptions
}> {
  const plc = stack.use(await FakePlc.start())
  const host = stack.use(await FakeHost.start())
  const data = stack.use(await TemporaryDirectory.create('skein-relay-test-'))
  const repos = Array.from({ length: 8 }, (_, i) => createAccount(plc, host, `${seed} ${i}`))
  const options = {
    data: join(data.path, 'data'),
    plc: plc.url,
    hosts: [host.endpoint],
    arguments: ['--host-events-per-second', '100000'],
  }
  return { plc, host, repos, events: new MarkedEvents(host, repos, seed.length), options }
}

/** Everything a subscriber has seen in the lives of a relay, by seq. */
class Witness {
  readonly #seen = new Map<number, Uint8Array>()
  lastSeq = 0

  /** Takes in what came over one connection, which began after `lastSeq`. */
  see(frames: readonly ReceivedFrame[]): void {
    for (const { seq, bytes } of frames) {
      assert.equal(seq, this.lastSeq + 1, 'seqs have no gap')
      this.lastSeq = seq
      this.#seen.set(seq, bytes)
    }
  }

  /** Checks a replay of everything against what was seen. */
  check(replayed: readonly ReceivedFrame[]): void {
    const bySeq = new Map(replayed.map((frame) => [frame.seq, frame.bytes]))
    for (const [seq, bytes] of this.#seen) {
      const again = bySeq.get(seq)
      assert.ok(again !== undefined, `I1: seq ${seq} was seen and is gone`)
      assert.ok(bytesEqual(bytes, again), `I2: seq ${seq} is another event now`)
    }
  }
}

interface ListedRepo {
  readonly did: string
  readonly rev: string
  readonly head: string
}

async function listRepos(address: string): Promise<ListedRepo[]> {
  const answer = await fetch(`http://${address}/xrpc/com.atproto.sync.listRepos?limit=1000`)
  const { repos } = (await answer.json()) as { repos: ListedRepo[] }
  return repos.map(({ did, rev, head }) => ({ did, rev, head })).sort(byDid)
}

const byDid = (a: { did: string }, b: { did: string }): number => (a.did < b.did ? -1 : 1)

/** The heads that the log leads to: the last commit or sync of each account. */
function headsOf(frames: readonly ReceivedFrame[]): { did: string; rev: string }[] {
  const heads = new Map<string, string>()
  for (const frame of frames) {
    if (frame.type === '#commit' || frame.type === '#sync') {
      heads.set(didOf(frame), String(frame.body['rev']))
    }
  }
  return [...heads].map(([did, rev]) => ({ did, rev })).sort(byDid)
}

/** Copies the state database; of its files only one is always there. */
async function copyState(from: string, to: string): Promise<void> {
  for (const file of STATE_FILES) {
    await rm(join(to, file), { force: true })
    await cp(join(from, file), join(to, file)).catch(() => undefined)
  }
}

/** Runs a relay once more, and checks what it replays and lists. */
async function checkAll(
  options: RelayProcessOptions,
  witness: Witness,
  count: number,
  heads: readonly ListedRepo[],
): Promise<void> {
  await using relay = await RelayProcess.start(options)
  const replayed = await replay(relay.address, count)
  witness.check(replayed)
  assert.deepEqual(faultsOf(replayed, count), [])
  assert.deepEqual(await listRepos(relay.address), heads)
  assert.deepEqual(
    headsOf(replayed),
    heads.map(({ did, rev }) => ({ did, rev })),
  )
  relay.signal('SIGTERM')
  await relay.ended()
}

test('I1, I2, I7, I8: killed again and again, a relay loses nothing and sends nothing twice', async () => {
  await using stack = new AsyncDisposableStack()
  const { plc, host, repos, events, options } = await setUp(stack, 'killed')
  const random = seededRandom(9)
  const witness = new Witness()
  const held: SignedRepo[] = []
  let inFlight = 0
  const copy = join(options.data, '..', 'copy')

  for (let life = 0; life < LIVES; life++) {
    await using relay = await RelayProcess.start(options)
    const replayed = await replay(relay.address, witness.lastSeq)
    witness.check(replayed)
    await using client = await RelayClient.connect(relay.address, witness.lastSeq)
    const undecided = createAccount(plc, host, `undecided in life ${life}`)
    plc.hold(undecided.did)
    const heldSeq = host.seq + 1
    events.sendOf(undecided)
    held.push(undecided)
    const count = 60 + Math.floor(random.next() * 120)
    events.send(count)
    await client.reached(witness.lastSeq + 1 + Math.floor(random.next() * count))
    relay.signal('SIGKILL')
    assert.equal((await relay.ended()).signal, 'SIGKILL', 'the kill has struck')
    await client.untilClosed()
    witness.see(client.frames)
    inFlight += events.count - witness.lastSeq
    // I7: the next life has to ask for what had no outcome yet.
    const lives = host.cursors.length
    await using next = await RelayProcess.start(options)
    await host.connected(lives + 1)
    const cursor = must(host.cursors.at(-1), 'cursor')
    assert.ok(cursor < heldSeq, `cursor ${cursor} is past the undecided event ${heldSeq}`)
    plc.release(undecided.did)
    if (life === Math.floor(LIVES / 2)) {
      next.signal('SIGTERM')
      assert.equal((await next.ended()).code, 0)
      await mkdir(copy)
      await copyState(options.data, copy)
    }
  }
  assert.ok(inFlight > LIVES, 'events were under way when it was killed')

  const heads = repos
    .concat(held)
    .flatMap(({ did, head }) =>
      head === null ? [] : [{ did, rev: head.rev, head: cidToString(head.commit) }],
    )
    .sort(byDid)
  await checkAll(options, witness, events.count, heads)

  // A power cut may take state back much further than the log.
  await copyState(copy, options.data)
  await using relay = await RelayProcess.start(options)
  assert.match(relay.stdout, /caught up from the log/u)
  assert.deepEqual(await listRepos(relay.address), heads)
  const lives = host.cursors.length
  await host.connected(lives)
  assert.ok(must(host.cursors.at(-1), 'cursor') < host.seq, 'the host sends old events again')
  events.send(20)
  const replayed = await replay(relay.address, events.count)
  assert.deepEqual(faultsOf(replayed, events.count), [])
})

test('a stop by SIGTERM loses nothing, tells subscribers to come back, and ends with 0', async () => {
  await using stack = new AsyncDisposableStack()
  const { host, events, options } = await setUp(stack, 'stopped')
  const witness = new Witness()
  for (let life = 0; life < 2; life++) {
    await using relay = await RelayProcess.start(options)
    await using client = await RelayClient.connect(relay.address, witness.lastSeq)
    events.send(150)
    await client.reached(witness.lastSeq + 20)
    relay.signal('SIGTERM')
    assert.deepEqual(await client.untilClosed(), { code: 1012, reason: 'restarting' })
    assert.deepEqual(await relay.ended(), { code: 0, signal: null })
    assert.deepEqual(relay.complaints, ['skein: SIGTERM: stopping (again to stop at once)'])
    assert.ok(client.lastSeq < events.count, 'it was stopped in the midst of it')
    witness.see(client.frames)
  }
  await using relay = await RelayProcess.start(options)
  const replayed = await replay(relay.address, events.count)
  witness.check(replayed)
  assert.deepEqual(faultsOf(replayed, events.count), [])
  assert.equal(host.cursors.length, 3)
})
