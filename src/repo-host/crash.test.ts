/** Hosts that are killed, anywhere: what they said is done is done, and nothing else appears. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { loadVerifier } from '../crypto/verifier.ts'
import { cidEquals, cidToString } from '../data/cid.ts'
import { must } from '../lib/assert.ts'
import { systemClock } from '../lib/clock.ts'
import { seededRandom } from '../lib/random.ts'
import { EventLog } from '../log/event-log.ts'
import { commitAgainstHead } from '../repo/head.ts'
import { verifyCommit, type Verified } from '../repo/verify.ts'
import { buildTreeOf } from '../../test/support/reference-tree.ts'
import { RepoHost } from './repo-host.ts'
import { keyOf, messageOf, StateReader } from './testing/test-host.ts'

const CHILD = fileURLToPath(new URL('./testing/crash-child.ts', import.meta.url))
const verifier = await loadVerifier()

type Point = 'never' | 'in-transaction' | 'before-append' | 'after-append'

/** Runs a host until it is dead; returns what it said is done, as `did rev`. */
async function runUntilDead(
  directory: string,
  point: Point,
  after: number,
): Promise<readonly string[]> {
  const child = spawn(process.execPath, [CHILD, directory, point, String(after)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const done: string[] = []
  const lines = createInterface({ input: child.stdout })
  lines.on('line', (line) => {
    if (line.startsWith('done ')) done.push(line.slice(5))
    if (point === 'never' && done.length === after) child.kill('SIGKILL')
  })
  const [, signal] = (await once(child, 'exit')) as [number | null, string | null]
  assert.equal(signal, 'SIGKILL', 'the host was killed')
  lines.close()
  return done
}

/** Frames by seq that have been published once: they may never change. */
type Published = Map<number, Uint8Array>

/**
 * Opens what a killed host has left and holds log, state and acknowledgements together.
 *
 * @returns How many events the log lacked.
 */
async function inspect(
  directory: string,
  done: readonly string[],
  published: Published,
): Promise<number> {
  using reader = new StateReader(directory)
  const log = await EventLog.open(directory, { clock: systemClock })
  const unlogged = reader.lastSeq() - log.durableSeq
  await log.close()
  await using host = await RepoHost.open({ directory, clock: systemClock, clockId: 5 })
  const heads = new Map<string, Verified>()
  const records = new Map<string, Map<string, string>>()
  const commits = new Set<string>()
  let lastSeq = 0
  for await (const record of host.log.entriesAfter(0)) {
    const { seq } = record.entry
    assert.equal(seq, lastSeq + 1, 'no seq is left out or given twice')
    lastSeq = seq
    const known = published.get(seq)
    if (known !== undefined) assert.equal(Buffer.compare(known, record.frame), 0, `seq ${seq}`)
    published.set(seq, record.frame.slice())
    const message = messageOf(record)
    if (message.type !== '#commit') continue
    const { repo: did, rev } = message.body
    const context = { key: keyOf(did).publicKey, verifier, nowMs: systemClock.nowMs() }
    const verdict = verifyCommit(message.body, context)
    assert(verdict.ok, verdict.ok ? '' : verdict.detail)
    const { outcome } = commitAgainstHead(heads.get(did) ?? null, verdict.value)
    assert.equal(outcome, 'continues', `${did} ${rev}`)
    heads.set(did, verdict.value)
    commits.add(`${did} ${rev}`)
    const held = records.get(did) ?? new Map<string, string>()
    records.set(did, held)
    for (const { path, after } of verdict.value.changes) {
      if (after === null) held.delete(path)
      else held.set(path, cidToString(after))
    }
  }
  for (const one of done) assert(commits.has(one), `${one} was said to be done`)
  for (const [did, verified] of heads) {
    const head = must(host.latestCommit(did), 'head')
    assert.equal(head.rev, verified.rev, 'state is what the log says, neither more nor less')
    assert(cidEquals(head.commit, verified.commit))
    const { root, nodes } = buildTreeOf(must(records.get(did), 'records'))
    assert.equal(cidToString(head.data), root)
    for (const cid of nodes.keys()) assert(reader.blocks(did).has(cid))
  }
  assert.equal(host.log.publishedSeq, lastSeq)
  return unlogged
}

async function temporary(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'skein-crash-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  return directory
}

test('killed anywhere, again and again, a host loses nothing and invents nothing', async (t) => {
  const directory = await temporary(t)
  const random = seededRandom(5)
  const published: Published = new Map()
  const done: string[] = []
  for (let round = 0; round < 4; round++) {
    const after = 1 + Math.floor(random.next() * 150)
    done.push(...(await runUntilDead(directory, 'never', after)))
    await inspect(directory, done, published)
  }
  assert(published.size > 50)
})

for (const point of ['in-transaction', 'before-append', 'after-append'] as const) {
  test(`killed ${point}, a host makes up for what the log lacks`, async (t) => {
    const directory = await temporary(t)
    const published: Published = new Map()
    const done: string[] = []
    for (const after of [40, 7]) {
      done.push(...(await runUntilDead(directory, point, after)))
      const unlogged = await inspect(directory, done, published)
      // The point has been met: what was committed last was on its way to the log, or in it. Inside
      // a transaction the one before may be either.
      if (point === 'before-append') assert(unlogged > 0)
      if (point === 'after-append') assert.equal(unlogged, 0)
    }
  })
}
