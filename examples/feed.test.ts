/** The feed of docs/client/guide.md, through outages: it holds what the network holds. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'

import { createIdentities, SyncClient } from '../src/client/index.ts'
import { type SimNetwork, startNetwork } from '../src/sim/index.ts'
import { openConsumerStore } from '../src/store/index.ts'
import { COLLECTION, type Feed } from './feed-consumer.ts'
import { FeedDatabase } from './feed-database.ts'
import { keepFeed } from './feed-outage.ts'
import { readRecord } from './feed-record.ts'
import { watch } from './feed-watch.ts'

/** What the network holds and shows, as lines. */
function truth({ world }: SimNetwork): string[] {
  const lines: string[] = []
  for (const did of world.dids) {
    if (world.account(did)?.status !== 'active') continue
    for (const [path, cid] of world.records(did)) {
      if (path.startsWith(`${COLLECTION}/`)) lines.push(`${did} ${path.split('/')[1] ?? ''} ${cid}`)
    }
  }
  return lines.toSorted()
}

/** What a feed holds and shows, likewise. */
function shown(database: FeedDatabase): string[] {
  const lines = database
    .dids()
    .flatMap((did) => [...database.shown(did)].map(([rkey, cid]) => `${did} ${rkey} ${cid}`))
  return lines.toSorted()
}

/** Waits until the feed holds what the network does; says what is between them when it will not. */
async function untilEqual(network: SimNetwork, database: FeedDatabase): Promise<void> {
  const wanted = truth(network)
  for (let tries = 0; tries < 2_000; tries++) {
    if (shown(database).join('\n') === wanted.join('\n')) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  const held = shown(database)
  const missing = wanted.filter((line) => !held.includes(line))
  const wrong = held.filter((line) => !wanted.includes(line))
  assert.deepEqual({ missing, wrong }, { missing: [], wrong: [] })
}

async function smallNetwork(t: TestContext, seed: number): Promise<SimNetwork> {
  const network = await startNetwork({
    seed,
    hosts: 1,
    accounts: 25,
    records: 20,
    changes: 1 / 40,
    lies: 1 / 20,
    backlogBytesMax: 400_000,
    // Nobody waits for the feed: it may find keys changed, and must come out right all the same.
    gate: () => Promise.resolve(),
  })
  t.after(() => network.stop())
  return network
}

async function newFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'skein-feed-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

test('steps 1 and 2: a record, proven, and commits as they come', async (t) => {
  const network = await smallNetwork(t, 3)
  const service = network.hosts[0]?.endpoint ?? ''
  const identities = createIdentities({
    plcDirectories: [network.plc.url],
    allowPrivateNetwork: true,
  })
  t.after(() => identities.close())
  const options = { identities, allowPrivateNetwork: true }
  const [line = ''] = truth(network)
  const [did = '', rkey = ''] = line.split(' ')
  const post = await readRecord({ did, collection: COLLECTION, rkey }, options)
  assert.equal((post as { readonly $type?: unknown }).$type, COLLECTION)
  assert.equal(await readRecord({ did, collection: COLLECTION, rkey: 'none' }, options), null)
  await assert.rejects(readRecord({ did, collection: COLLECTION, rkey }, { identities }), {
    code: 'Blocked',
  })

  await network.run({ events: 60, pace: 'free' })
  for await (const told of watch(COLLECTION, { service, cursor: 'oldest', ...options })) {
    assert.match(told, /^did:\S+ (?:create|update|delete) \S+/)
    break
  }
})

test('steps 3 to 5: an outage longer than the window, and nothing is missing', async (t) => {
  const network = await smallNetwork(t, 5)
  const folder = await newFolder(t)
  const service = network.hosts[0]?.endpoint ?? ''
  const database = new FeedDatabase(join(folder, 'feed.sqlite'))
  t.after(() => database.close())
  using store = await openConsumerStore(join(folder, 'consumer.sqlite'))
  const relay = new SyncClient(service)
  const starts: number[] = []

  for (const [life, events] of [300, 1_500, 1_500].entries()) {
    // Nobody listens while this happens, which is more than the host holds.
    await network.run({ events, pace: 'free' })
    const stop = new AbortController()
    let count = 0
    // A new process knows no keys.
    const identities = createIdentities({
      plcDirectories: [network.plc.url],
      allowPrivateNetwork: true,
    })
    const limits = { repairPauseMs: 50, repairPauseMsMax: 500 }
    const options = { service, identities, allowPrivateNetwork: true, limits }
    const feed: Feed = { database, store, backfill: 'seen', options }
    const kept = keepFeed(feed, relay, stop.signal, () => count++)
    await network.run({ events: 100, pace: 'free' })
    await untilEqual(network, database)
    stop.abort()
    await kept
    await identities.close()
    starts[life] = count
  }
  assert(
    starts.length === 3 && starts.every((count) => count >= 2),
    `each life found that there is more than the window holds: ${starts.join()}`,
  )
})

test('step 6: killed at any moment, it goes on where it was', async (t) => {
  const network = await smallNetwork(t, 8)
  const folder = await newFolder(t)
  const script = fileURLToPath(new URL('feed-main.ts', import.meta.url))
  const start = (): ChildProcess => {
    const service = network.hosts[0]?.endpoint ?? ''
    const where = ['--folder', folder, '--service', service, '--plc', network.plc.url]
    const child = spawn(
      process.execPath,
      [script, ...where, '--port', '0', '--backfill', '--allow-private-network'],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    )
    child.stderr?.on('data', (text: Buffer) => errors.push(text.toString()))
    return child
  }
  const errors: string[] = []
  const database = new FeedDatabase(join(folder, 'feed.sqlite'))
  t.after(() => database.close())
  for (let life = 0; life < 3; life++) {
    const child = start()
    t.after(() => child.kill('SIGKILL'))
    const before = shown(database).join('\n')
    // Killed as soon as it has done something, with more to do.
    for (let i = 0; i < 1_000 && shown(database).join('\n') === before; i++) {
      await network.run({ events: 10, pace: 'free' })
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  const last = start()
  t.after(() => last.kill('SIGKILL'))
  await network.run({ events: 100, pace: 'free' })
  await untilEqual(network, database)
  last.kill('SIGTERM')
  const [code] = (await once(last, 'exit')) as [number | null]
  assert.equal(code, 0, errors.join(''))
})
