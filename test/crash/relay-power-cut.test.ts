/**
 * The power goes while a relay works: of what was not synced, its log has what chance has kept, and
 * its state falls back to some moment before. What subscribers saw is there again, byte for byte.
 */
import assert from 'node:assert/strict'
import { cpSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { bytesEqual } from '../../src/lib/bytes.ts'
import { must } from '../../src/lib/assert.ts'
import { seededRandom } from '../../src/lib/random.ts'
import { MemoryStorage } from '../../src/log/testing/memory-storage.ts'
import { TemporaryDirectory } from '../../src/ops/temporary-directory.ts'
import { FakeHost } from '../support/fake-host.ts'
import { FakePlc } from '../support/fake-plc.ts'
import { faultsOf, MarkedEvents } from '../support/marked-events.ts'
import { type ReceivedFrame, RelayClient } from '../support/relay-client.ts'
import { TestRelay } from '../support/test-relay.ts'
import { eventually } from '../support/waiting.ts'
import { createAccount } from '../support/world.ts'

const CUTS = 12
const EVENTS = 40
/** Steps of the storage before which the power stays, and more by chance. */
const STEPS_MIN = 15
const STEPS_MORE = 50

/** What is left when the power has gone, and what had been seen by then. */
interface Left {
  readonly storage: MemoryStorage
  readonly seen: readonly ReceivedFrame[]
}

/** Puts the database of one folder in another; nobody is in the midst of a transaction. */
function copyState(from: string, to: string): void {
  mkdirSync(to, { recursive: true })
  for (const suffix of ['', '-wal', '-shm']) {
    rmSync(join(to, `state.sqlite${suffix}`), { force: true })
  }
  for (const name of readdirSync(from)) {
    if (name.startsWith('state.sqlite')) cpSync(join(from, name), join(to, name))
  }
}

class World {
  readonly plc: FakePlc
  readonly host: FakeHost
  readonly events: MarkedEvents

  constructor(plc: FakePlc, host: FakeHost) {
    this.plc = plc
    this.host = host
    const repos = Array.from({ length: 4 }, (_, i) => createAccount(plc, host, `power ${i}`))
    this.events = new MarkedEvents(host, repos, 5)
  }

  start(data: string, storage: MemoryStorage): Promise<TestRelay> {
    return TestRelay.start({
      data,
      plc: [this.plc.url],
      hosts: [this.host.endpoint],
      hostEventsPerSecond: 100_000,
      logOptions: { storage, segmentBytesMax: 40_000 },
    })
  }
}

test('I1, I2, I7, I8: power cuts take nothing from a relay that anybody saw', async () => {
  await using plc = await FakePlc.start()
  await using host = await FakeHost.start()
  await using directory = await TemporaryDirectory.create('skein-power-test-')
  const world = new World(plc, host)
  const random = seededRandom(3)
  let left: Left = { storage: new MemoryStorage(), seen: [] }
  const data = join(directory.path, 'data')
  const saved = join(directory.path, 'saved')
  await mkdir(data)
  let fellBack = 0
  for (let cut = 1; cut <= CUTS; cut++) {
    const { storage, seen } = left
    const state: { steps: number; copied: number; left: Left | null } = {
      steps: 0,
      copied: 0,
      left: null,
    }
    const cutAt = STEPS_MIN + Math.floor(random.next() * STEPS_MORE)
    // State is taken from some step before the cut: its transactions are not synced.
    const copyAt = STEPS_MIN - 1 + Math.floor(random.next() * (cutAt - STEPS_MIN + 1))
    await using relay = await world.start(data, storage)
    await using client = await RelayClient.connect(relay.address, 0)
    await client.reached(seen.length)
    for (const { seq, bytes } of seen) {
      const again = must(client.frames[seq - 1], 'frame')
      assert.ok(
        again.seq === seq && bytesEqual(again.bytes, bytes),
        `I1, I2: seq ${seq}, cut ${cut}`,
      )
    }
    storage.hook = (step) => {
      if (step === 'read') return
      state.steps++
      if (state.steps === copyAt) {
        copyState(data, saved)
        state.copied = client.frames.length
      }
      if (state.steps !== cutAt) return
      state.left = { storage: storage.powerCut(random), seen: [...client.frames] }
    }
    for (let sent = 0; sent < EVENTS * 5 && state.left === null; sent++) {
      world.events.send(1)
      if (sent % 5 === 4) await client.reached(world.events.count - 3)
    }
    left = await eventually(() => state.left, 'the power to go')
    if (state.copied < left.seen.length) fellBack++
    await relay.stop()
    copyState(saved, data)
  }
  assert.ok(fellBack > CUTS / 3, 'state fell behind what was seen')
  await using relay = await world.start(data, left.storage)
  await using client = await RelayClient.connect(relay.address, 0)
  await client.reached(world.events.count)
  assert.deepEqual(faultsOf(client.frames, world.events.count), [])
})
