/**
 * Every call of the storage fails in turn, under a whole relay: it stops and says why, or goes on
 * without what it could not do; and what it leaves, a relay on a sound disk makes whole.
 */
import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { SkeinError } from '../../src/lib/errors.ts'
import { seededRandom } from '../../src/lib/random.ts'
import type { EventLog } from '../../src/log/event-log.ts'
import { type StorageHook, MemoryStorage } from '../../src/log/testing/memory-storage.ts'
import { TemporaryDirectory } from '../../src/ops/temporary-directory.ts'
import type { StartRelayOptions } from '../../src/server/start-relay.ts'
import { FakeHost } from '../support/fake-host.ts'
import { FakePlc } from '../support/fake-plc.ts'
import { MarkedEvents, markOf } from '../support/marked-events.ts'
import { didOf, type ReceivedFrame, RelayClient } from '../support/relay-client.ts'
import { TestRelay } from '../support/test-relay.ts'
import { turn } from '../support/waiting.ts'
import { accountBody, createAccount } from '../support/world.ts'

const CODES = ['ENOSPC', 'EIO', 'EMFILE'] as const
/** Small, so that batches begin segments. */
const SEGMENT_BYTES = 5_000
/** Events before the relay comes, and those that come while it runs. */
const BEFORE = 8
const WHILE = 2
/** Calls that a relay makes at least in such a life. */
const STEPS_MIN = 30

/** A host with events of accounts, one of which is taken down in the end. */
class Source implements AsyncDisposable {
  readonly plc: FakePlc
  readonly host: FakeHost
  readonly events: MarkedEvents
  readonly doomed: string

  private constructor(plc: FakePlc, host: FakeHost, events: MarkedEvents, doomed: string) {
    this.plc = plc
    this.host = host
    this.events = events
    this.doomed = doomed
  }

  static async start(seed: string): Promise<Source> {
    const plc = await FakePlc.start()
    const host = await FakeHost.start()
    const repos = Array.from({ length: 2 }, (_, i) => createAccount(plc, host, `${seed} ${i}`))
    const doomed = createAccount(plc, host, `${seed} doomed`)
    const events = new MarkedEvents(host, repos, 3)
    for (let i = 0; i < BEFORE; i++) {
      events.send(1)
      if (i % 4 === 0) host.send('#commit', doomed.apply([]))
    }
    host.send('#account', accountBody(doomed.did, false, 'takendown'))
    return new Source(plc, host, events, doomed.did)
  }

  /** What is wrong with what somebody was sent from the beginning on, if all has come out. */
  faultsOf(frames: readonly ReceivedFrame[]): string[] {
    const faults: string[] = []
    const seen = new Set<number>()
    const last = new Map<string, number>()
    let lastSeq = 0
    for (const frame of frames) {
      if (frame.seq <= lastSeq) faults.push(`seq ${frame.seq} after ${lastSeq}`)
      lastSeq = frame.seq
      if (didOf(frame) === this.doomed) continue
      const mark = markOf(frame)
      if (seen.has(mark)) faults.push(`mark ${mark} twice`)
      if (mark < (last.get(didOf(frame)) ?? 0)) faults.push(`mark ${mark} out of order`)
      seen.add(mark)
      last.set(didOf(frame), mark)
    }
    for (let mark = 1; mark <= this.events.count; mark++) {
      if (!seen.has(mark)) faults.push(`mark ${mark} is lost`)
    }
    return faults
  }

  hasAll(frames: readonly ReceivedFrame[]): boolean {
    const marks = frames.filter((frame) => didOf(frame) !== this.doomed).length
    return marks >= this.events.count && frames.some((frame) => this.#isEnd(frame))
  }

  #isEnd(frame: ReceivedFrame): boolean {
    return didOf(frame) === this.doomed && frame.type === '#account'
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.host[Symbol.asyncDispose]()
    await this.plc[Symbol.asyncDispose]()
  }
}

interface Life {
  readonly frames: readonly ReceivedFrame[]
  /** What ended it; null when it did all that there was to do. */
  readonly error: Error | null
  readonly warnings: number
}

/**
 * Runs a relay until everything has come out and been purged, or something has ended it.
 *
 * @param more Events that are sent while it runs, each when all before it have come out.
 */
async function live(
  source: Source,
  data: string,
  options: Pick<StartRelayOptions, 'logOptions' | 'onOpen'>,
  more: number,
): Promise<Life> {
  const open: { log: EventLog | null } = { log: null }
  let relay: TestRelay
  try {
    relay = await TestRelay.start({
      data,
      plc: [source.plc.url],
      hosts: [source.host.endpoint],
      hostEventsPerSecond: 100_000,
      ...options,
      onOpen(parts) {
        open.log = parts.log
        options.onOpen?.(parts)
      },
    })
  } catch (error) {
    if (!(error instanceof Error)) throw error
    return { frames: [], error, warnings: 0 }
  }
  const end: { error: Error | null } = { error: null }
  const failed = (async () => {
    end.error = await relay.failed
  })()
  const client = await RelayClient.connect(relay.address, 0)
  const out = async (): Promise<void> => {
    for (let seq = 1; end.error === null && !source.hasAll(client.frames); seq++) {
      await Promise.race([client.reached(seq), failed])
    }
  }
  await out()
  for (let i = 0; i < more && end.error === null; i++) {
    source.events.send(1)
    await out()
  }
  await turn()
  await open.log?.purgesSettled()
  await relay.stop()
  await client[Symbol.asyncDispose]()
  const warnings = relay.lines.filter(({ level }) => level === 'warn').length
  return { frames: client.frames, error: end.error, warnings }
}

/** Fails call `nth` (from 0), and only that one. */
function failing(nth: number, code: string): { hook: StorageHook; steps: string[] } {
  const steps: string[] = []
  const hook: StorageHook = (step, path) => {
    steps.push(`${step} ${path}`)
    if (steps.length - 1 !== nth) return
    throw Object.assign(new Error(`${code}: injected`), { code })
  }
  return { hook, steps }
}

/** A relay on a sound disk, over what a fault has left: everything is there, as it was seen. */
async function makeWhole(
  source: Source,
  data: string,
  storage: MemoryStorage,
  before: Life,
): Promise<void> {
  const logOptions = { storage, segmentBytesMax: SEGMENT_BYTES }
  const { frames, error } = await live(source, data, { logOptions }, 0)
  assert.equal(error, null)
  assert.deepEqual(source.faultsOf(frames), [])
  const bySeq = new Map(frames.map((frame) => [frame.seq, frame.bytes]))
  for (const frame of before.frames) {
    if (didOf(frame) !== source.doomed) assert.deepEqual(bySeq.get(frame.seq), frame.bytes)
  }
}

test('I1, I2, I7, I8: whichever call of the storage fails, nothing is lost', async () => {
  await using directory = await TemporaryDirectory.create('skein-fault-test-')
  const random = seededRandom(11)
  const ends = new Map<string, number>()
  for (let nth = 0; ; nth++) {
    const code = CODES[nth % CODES.length] ?? 'EIO'
    await using source = await Source.start(`faults ${nth}`)
    const data = join(directory.path, String(nth))
    await mkdir(data)
    const storage = new MemoryStorage()
    const { hook, steps } = failing(nth, code)
    storage.hook = hook
    const logOptions = { storage, segmentBytesMax: SEGMENT_BYTES }
    const life = await live(source, data, { logOptions }, WHILE)
    storage.hook = () => undefined
    if (steps.length <= nth) {
      assert.ok(nth >= STEPS_MIN, `${nth} calls`)
      break
    }
    const where = `call ${nth}, ${steps[nth]}, ${code}`
    try {
      const { error } = life
      if (error !== null) {
        assert.ok(error instanceof SkeinError, error.message)
        assert.match(error.code, /^LOG_(?:READ|WRITE)_FAILED$/u)
        assert.equal(error.fields['cause'], code)
      } else assert.ok(life.warnings > 0, 'what was not done is told')
      const end = error instanceof SkeinError ? error.code : 'went on'
      ends.set(end, (ends.get(end) ?? 0) + 1)
      // The power may go as well.
      const left = nth % 2 === 0 ? storage.copy() : storage.powerCut(random)
      await makeWhole(source, data, left, life)
    } catch (error) {
      throw new Error(where, { cause: error })
    }
  }
  assert.deepEqual([...ends.keys()].sort(), ['LOG_READ_FAILED', 'LOG_WRITE_FAILED', 'went on'])
})

test('I8: whichever commit of state fails, the relay stops and nothing is lost', async () => {
  await using directory = await TemporaryDirectory.create('skein-fault-test-')
  for (const nth of [1, 2, 3]) {
    await using source = await Source.start(`state ${nth}`)
    const data = join(directory.path, String(nth))
    await mkdir(data)
    const storage = new MemoryStorage()
    let saves = 0
    const life = await live(
      source,
      data,
      {
        logOptions: { storage, segmentBytesMax: SEGMENT_BYTES },
        onOpen({ store, connection }) {
          const apply = store.apply.bind(store)
          store.apply = (change) => {
            // From here on the engine refuses every write, as on a disk that became read-only.
            if (++saves === nth) connection.pragma('query_only = 1')
            apply(change)
          }
        },
      },
      WHILE,
    )
    const { error } = life
    assert.ok(error instanceof SkeinError, `save ${nth}: ${error?.message}`)
    assert.equal(error.code, 'STORE_FAILED')
    assert.match(error.message, /^save state: .*readonly/u)
    assert.equal(saves, nth, 'nothing was saved after the failure')
    await makeWhole(source, data, storage.copy(), life)
  }
})
