/** A consumer that is killed without warning, again and again. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { eventually } from '../../../test/support/waiting.ts'
import { must } from '../../lib/assert.ts'
import { seededRandom } from '../../lib/random.ts'
import { TemporaryDirectory } from '../../ops/temporary-directory.ts'
import { openConsumerStore } from '../../store/consumer-store.ts'
import { ConsumerKit, truthOf } from '../testing/consumer-kit.ts'
import { create } from '../testing/consumer-writes.ts'

const CHILD = fileURLToPath(new URL('../testing/consumer-child.ts', import.meta.url))
const LIVES = 4
const EVENTS_PER_LIFE = 120

type Line = readonly [string, string, readonly (readonly [string, string | null])[]]

function linesOf(file: string): Line[] {
  if (!existsSync(file)) return []
  const text = readFileSync(file, 'utf8')
  return text
    .split('\n')
    .filter((line) => line.endsWith(']'))
    .map((line) => JSON.parse(line) as Line)
}

test('whenever a consumer is killed, nothing is lost', { timeout: 60_000 }, async (t) => {
  await using kit = await ConsumerKit.start()
  await using directory = await TemporaryDirectory.create('skein-consumer-')
  const store = join(directory.path, 'consumer.sqlite')
  const output = join(directory.path, 'output')
  const seeds = Array.from({ length: 6 }, (_, i) => `killed ${i}`)
  const repos = seeds.map((seed) => kit.account(seed))
  const random = seededRandom(7)
  const start = (): ChildProcess => {
    const args = [CHILD, kit.stream.endpoint, kit.repos.endpoint, store, output, seeds.join()]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] })
    t.after(() => child.kill('SIGKILL'))
    return child
  }
  let seq = 0
  for (let life = 0; life < LIVES; life++) {
    const child = start()
    for (let i = 0; i < EVENTS_PER_LIFE; i++) {
      const repo = must(repos[Math.floor(random.next() * repos.length)], 'repo')
      const writes = [create(`k${life}-${i}`)]
      // Now and then one that nobody is sent.
      if (random.next() < 0.01) repo.apply([create(`lost${life}-${i}`)])
      seq = kit.commit(repo, writes)
    }
    if (life === LIVES - 1) {
      await eventually(
        async () => {
          using open = await openConsumerStore(store)
          const isWhole = open.due(Number.MAX_SAFE_INTEGER, 1).length === 0
          return open.cursors()[0]?.seq === seq && isWhole ? true : null
        },
        () => `seq ${seq}`,
        30_000,
      )
    } else {
      const more = linesOf(output).length + 1 + Math.floor(random.next() * 25)
      await eventually(() => (linesOf(output).length >= more ? true : null), 'some are handled')
    }
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  const told = new Map<string, Map<string, string>>()
  for (const [did, , ops] of linesOf(output)) {
    const records = told.get(did) ?? new Map<string, string>()
    told.set(did, records)
    for (const [path, cid] of ops) {
      if (cid === null) records.delete(path)
      else records.set(path, cid)
    }
  }
  for (const repo of repos) {
    const records = [...must(told.get(repo.did), 'account')]
    const sorted = records.toSorted(([a], [b]) => (a < b ? -1 : 1))
    assert.deepEqual(Object.fromEntries(sorted), truthOf(repo))
  }
})
