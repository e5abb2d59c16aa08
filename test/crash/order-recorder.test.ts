/** The recorder complains: each rule is broken once, by leaving a sync out or by another order. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { must } from '../../src/lib/assert.ts'
import type { LogStorage } from '../../src/log/storage.ts'
import { type RelayStorage, type RunningRelay, startRelay } from '../../src/server/start-relay.ts'
import { TemporaryDirectory } from '../../src/ops/temporary-directory.ts'
import { FakeHost } from '../support/fake-host.ts'
import { FakePlc } from '../support/fake-plc.ts'
import { OrderRecorder } from '../support/order-recorder.ts'
import { RelayClient } from '../support/relay-client.ts'
import { turn } from '../support/waiting.ts'
import { createAccount } from '../support/world.ts'

/** A storage that says a sync is done without doing it. */
class Forgetful {
  readonly storage: LogStorage
  /** Syncs that were left out. */
  leftOut = 0

  constructor(disk: LogStorage, path: RegExp, step: 'sync' | 'syncDirectory') {
    const isMeant = (what: string, name: string): boolean => {
      if (what !== step || !path.test(name)) return false
      this.leftOut++
      return true
    }
    this.storage = {
      ...disk,
      async syncDirectory(folder) {
        if (!isMeant('syncDirectory', folder)) await disk.syncDirectory(folder)
      },
      async open(name, mode) {
        const file = await disk.open(name, mode)
        return {
          read: (target, position) => file.read(target, position),
          write: (bytes, position) => file.write(bytes, position),
          truncate: (length) => file.truncate(length),
          async sync() {
            if (!isMeant('sync', name)) await file.sync()
          },
          size: () => file.size(),
          close: () => file.close(),
        }
      },
    }
  }
}

interface Watched {
  readonly recorder: OrderRecorder
  readonly storage: LogStorage
  readonly onOpen: (parts: RelayStorage) => void
}

/** Passes events of two accounts through a relay, purges one, and stops. */
async function live(data: string, { recorder, storage, onOpen }: Watched): Promise<void> {
  await using plc = await FakePlc.start()
  await using host = await FakeHost.start()
  const repos = ['one', 'two'].map((seed) =>
    createAccount(plc, host, `${seed} at ${host.endpoint}`),
  )
  let opened: RelayStorage | null = null
  await using relay: RunningRelay = await startRelay({
    data,
    plc: [plc.url],
    hosts: [host.endpoint],
    logOptions: { storage, segmentBytesMax: 2_000 },
    onOpen(parts) {
      opened = parts
      recorder.watch(parts)
      onOpen(parts)
    },
  })
  const { log } = must<RelayStorage>(opened, 'storage')
  const before = log.durableSeq
  await using client = await RelayClient.connect(relay.address, before)
  for (let i = 1; i <= 6; i++) {
    for (const repo of repos) host.send('#commit', repo.apply([]))
    await client.reached(before + i * 2)
  }
  const [doomed] = repos
  assert.ok(doomed !== undefined && relay.relay.takedown(doomed.did))
  await client.reached(before + 13)
  await turn()
  await log.purgesSettled()
  await relay.stop()
}

const nothing = (): void => undefined

test('a relay that is left alone breaks no rule, and the recorder has looked', async () => {
  await using directory = await TemporaryDirectory.create('skein-order-test-')
  for (let life = 0; life < 2; life++) {
    const recorder = new OrderRecorder()
    await live(directory.path, { recorder, storage: recorder.storage, onOpen: nothing })
    assert.deepEqual(recorder.violations, [])
    assert.ok(recorder.looked.published >= 6 && recorder.looked.saves >= 6)
  }
})

const OMISSIONS: readonly [string, RegExp, 'sync' | 'syncDirectory', RegExp][] = [
  ['frames', /\.frames$/u, 'sync', /seq 1 is published and not durable/u],
  ['entries', /\.index(?:\.new)?$/u, 'sync', /seq 1 is published and not durable/u],
  ['the flags of a purge', /\.index$/u, 'sync', /is blanked before its flags are durable/u],
  ['the journal of purges', /\/purges\.new$/u, 'sync', /purges appears before its content/u],
  ['a new segment', /\.index\.new$/u, 'sync', /\.index appears before its content is durable/u],
  ['the folder', /\/log$/u, 'syncDirectory', /before its frames have a durable name/u],
]

for (const [what, path, step, complaint] of OMISSIONS) {
  test(`I1: a sync of ${what} that is left out is noticed`, async () => {
    await using directory = await TemporaryDirectory.create('skein-order-test-')
    const recorder = new OrderRecorder()
    const forgetful = new Forgetful(recorder.storage, path, step)
    const { storage } = forgetful
    await live(directory.path, { recorder, storage, onOpen: nothing })
    assert.ok(forgetful.leftOut > 0, 'a sync was left out')
    assert.match(recorder.violations.join('\n'), complaint)
  })
}

test('I1: what a crash left must be synced before it is read', async () => {
  await using directory = await TemporaryDirectory.create('skein-order-test-')
  const first = new OrderRecorder()
  await live(directory.path, { recorder: first, storage: first.storage, onOpen: nothing })
  const recorder = new OrderRecorder()
  const { storage } = new Forgetful(recorder.storage, /\.frames$/u, 'sync')
  await live(directory.path, { recorder, storage, onOpen: nothing })
  assert.match(recorder.violations[0] ?? '', /was opened after a crash and not synced/u)
})

test('I8: publication before state is noticed', async () => {
  await using directory = await TemporaryDirectory.create('skein-order-test-')
  const recorder = new OrderRecorder()
  await live(directory.path, {
    recorder,
    storage: recorder.storage,
    onOpen({ log }) {
      const append = log.append.bind(log)
      log.append = async (batch) => {
        await append(batch)
        log.publish(log.durableSeq)
      }
    },
  })
  assert.match(recorder.violations.join('\n'), /seq 1 is published, and state has not heard of it/u)
})

test('I8: state before the log is noticed', async () => {
  await using directory = await TemporaryDirectory.create('skein-order-test-')
  const recorder = new OrderRecorder()
  await live(directory.path, {
    recorder,
    storage: recorder.storage,
    onOpen({ log, store }) {
      const append = log.append.bind(log)
      log.append = async (batch) => {
        const appliedSeq = batch.at(-1)?.seq ?? 0
        store.apply({ accounts: [], hosts: [], appliedSeq })
        await append(batch)
      }
    },
  })
  assert.match(recorder.violations.join('\n'), /state takes seq 1 in, and only 0 is durable/u)
})
