import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { TemporaryDirectory } from '../../src/ops/temporary-directory.ts'
import { FakeHost } from '../support/fake-host.ts'
import { FakePlc } from '../support/fake-plc.ts'
import { faultsOf } from '../support/marked-events.ts'
import { type ReceivedFrame, RelayClient, replay } from '../support/relay-client.ts'
import { RelayProcess, type ProcessEnd } from '../support/relay-process.ts'
import { TestRelay } from '../support/test-relay.ts'
import { accountBody, createAccount } from '../support/world.ts'

/** Runs a relay that is not expected to start. */
async function runInVain(data: string, ...more: string[]): Promise<[ProcessEnd, string]> {
  const options = { data, plc: 'http://localhost:1', hosts: [], arguments: more }
  await using relay = RelayProcess.spawn(options)
  const end = await relay.ended()
  return [end, relay.stderr]
}

test('what keeps a relay from starting is told in one line, and by the exit code', async () => {
  await using directory = await TemporaryDirectory.create('skein-relay-test-')
  const file = join(directory.path, 'file')
  await writeFile(file, 'not a directory')
  const used = join(directory.path, 'used')
  await using first = await TestRelay.start({ plc: ['http://localhost:1'], data: used })
  const cases: [string, string[], number, RegExp][] = [
    [used, [], 1, /^skein: open data directory: another process is using it; .*directory=.*\n$/u],
    [join(file, 'below'), [], 1, /^skein: open data directory: it cannot be created .*\n$/u],
    [join(directory.path, 'free'), ['--host', 'no_such_host'], 2, /^skein: .*no_such_host.*\n$/u],
    [join(directory.path, 'other'), ['--bind', first.address], 1, /^skein: .*address.*\n$/iu],
  ]
  const runs = await Promise.all(cases.map(([data, more]) => runInVain(data, ...more)))
  for (const [i, [end, stderr]] of runs.entries()) {
    const [data, more, code, text] = cases[i] as (typeof cases)[0]
    const title = `${data} ${more.join(' ')}`
    assert.deepEqual(end, { code, signal: null }, title)
    assert.match(stderr, text, title)
    assert.equal(stderr.split('\n').length, 2, stderr)
  }
  assert.equal(first.relay.health().ok, true, 'the relay that was there is not disturbed')
})

test('a relay that fails to start in this process leaves nothing behind', async () => {
  await using directory = await TemporaryDirectory.create('skein-relay-test-')
  const data = join(directory.path, 'data')
  const plc = ['http://localhost:1']
  const bad = { plc, data, hosts: ['https://no_such_host'] }
  await assert.rejects(TestRelay.start(bad), /no_such_host/u)
  await using relay = await TestRelay.start({ plc, data })
  assert.equal(relay.relay.health().ok, true)
})

/** A small file system of its own, where that can be had. */
class SmallDisk implements AsyncDisposable {
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  static async create(directory: string, size: string): Promise<SmallDisk | null> {
    const path = join(directory, 'disk')
    await mkdir(path)
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', path], { stdio: 'pipe' })
    } catch {
      return null
    }
    return new SmallDisk(path)
  }

  resize(size: string): void {
    execFileSync('mount', ['-o', `remount,size=${size}`, this.path])
  }

  [Symbol.asyncDispose](): Promise<void> {
    // Lazily: a process that was just killed may still hold files.
    execFileSync('umount', ['-l', this.path])
    return Promise.resolve()
  }
}

/** Large events meet the full disk in the log, small ones in the end in the database beside it. */
const FILLINGS = [
  { what: 'the log', padBytes: 60_000, together: 100, error: /^skein: append to log:.*ENOSPC/u },
  { what: 'the state', padBytes: 0, together: 1, error: /^skein: save state: .*full/u },
] as const

for (const { what, padBytes, together, error } of FILLINGS) {
  test(`a full disk, met in ${what}, ends the relay with one line; nothing is lost`, async (t) => {
    await using directory = await TemporaryDirectory.create('skein-relay-test-')
    await using disk = await SmallDisk.create(directory.path, '2m')
    if (disk === null) {
      t.skip('needs the right to mount a tmpfs')
      return
    }
    await using plc = await FakePlc.start()
    await using host = await FakeHost.start()
    const { did } = createAccount(plc, host, what)
    const options = { data: join(disk.path, 'data'), plc: plc.url, hosts: [host.endpoint] }
    const pad = new Uint8Array(padBytes)
    let count = 0
    const seen: ReceivedFrame[] = []
    {
      await using relay = await RelayProcess.start(options)
      await using client = await RelayClient.connect(relay.address, 0)
      while (client.ended === null && count < 2_000) {
        for (let i = 0; i < together; i++) {
          host.send('#account', { ...accountBody(did, true), mark: ++count, pad })
        }
        await Promise.race([client.reached(count), client.untilClosed()])
      }
      assert.deepEqual(await relay.ended(), { code: 1, signal: null })
      assert.equal(relay.complaints.length, 1, relay.stderr)
      assert.match(relay.complaints[0] ?? '', error, 'the disk was full')
      assert.doesNotMatch(relay.stderr, /\n\s+at /u, 'no stack')
      seen.push(...client.frames)
      assert.ok(seen.length < count)
    }
    {
      await using relay = RelayProcess.spawn(options)
      assert.equal((await relay.ended()).code, 1, 'while the disk is full')
      assert.equal(relay.complaints.length, 1, relay.stderr)
    }
    disk.resize('64m')
    await using relay = await RelayProcess.start(options)
    const replayed = await replay(relay.address, count)
    assert.deepEqual(faultsOf(replayed, count), [])
    for (const { seq, bytes } of seen) assert.deepEqual(replayed[seq - 1]?.bytes, bytes)
  })
}
