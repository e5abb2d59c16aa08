/** The log, killed at each of its crash points, and opened after each. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { must } from '../../src/lib/assert.ts'
import { systemClock } from '../../src/lib/clock.ts'
import type { CrashPoint } from '../../src/lib/crash-point.ts'
import { EventLog } from '../../src/log/event-log.ts'
import { sameBytes } from '../../src/log/testing/log-fixtures.ts'
import { TemporaryDirectory } from '../../src/ops/temporary-directory.ts'
import { LOG_POINTS } from './crash-point-lists.ts'
import { eventOfLife, SEGMENT_BYTES } from './log-events.ts'

const CHILD = fileURLToPath(new URL('./log-child.ts', import.meta.url))
/** Two thirds of a short life would go to stripping types. */
const CACHE = fileURLToPath(new URL('../../scripts/compile-cache.mjs', import.meta.url))

/** Runs a life until it kills itself; returns the lines that it said. */
async function live(
  directory: string,
  life: number,
  point: CrashPoint,
  nth: number,
): Promise<string[]> {
  const args = [directory, String(life), point, String(nth)]
  const child = spawn(process.execPath, ['--import', CACHE, CHILD, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
  const lines = said.split('\n').slice(0, -1)
  assert.deepEqual([code, signal], [null, 'SIGKILL'], `${point} has struck: ${lines.at(-1)}`)
  return lines
}

/** What lives have said, and what must hold of what they left. */
class Witness {
  /** In which life each seq was appended, as far as somebody may have read it. */
  readonly #published = new Map<number, number>()
  /** Below which seq each DID was to be purged, and has been. */
  readonly #purging = new Map<string, number>()
  readonly #purged = new Map<string, number>()
  #retained = 1
  #said = 0

  get published(): number {
    return this.#published.size
  }

  /** Takes in the lines of a life. */
  hear(life: number, lines: readonly string[]): void {
    let first = 0
    for (const line of lines) {
      const [what, one = '', two = ''] = line.split(' ')
      if (what === 'appending') first = Number(one)
      if (what === 'purging') this.#note(this.#purging, one, Number(two))
      if (what === 'purged') this.#note(this.#purged, one, Number(two))
      if (what === 'retained') this.#retained = Math.max(this.#retained, Number(one))
      if (what !== 'published') continue
      for (let seq = first; seq <= Number(one); seq++) this.#published.set(seq, life)
      this.#said = Number(one)
    }
  }

  #note(bounds: Map<string, number>, did: string, beforeSeq: number): void {
    bounds.set(did, Math.max(beforeSeq, bounds.get(did) ?? 0))
  }

  /** Holds a log that has been opened against all that was said. */
  async check(log: EventLog, life: number): Promise<void> {
    assert.ok(log.durableSeq >= this.#said, `seq ${this.#said} was published and is gone`)
    assert.ok(log.firstSeq >= this.#retained, 'a segment that was dropped has come back')
    await log.purgesSettled()
    let seq = log.firstSeq
    for await (const { entry, frame } of log.entriesAfter(0)) {
      assert.equal(entry.seq, seq)
      const appended = this.#published.get(seq) ?? life
      const event = eventOfLife(appended, seq)
      if (entry.purged) assert.ok(seq < (this.#purging.get(event.did) ?? 0), `${seq} is purged`)
      else {
        assert.ok(seq >= (this.#purged.get(event.did) ?? 0), `${seq} was purged and is back`)
        sameBytes(frame, event.frame, `seq ${seq} of life ${appended}`)
      }
      // Whoever opens a log publishes what it holds: from now on it may not change.
      this.#published.set(seq, appended)
      seq++
    }
    assert.equal(seq - 1, log.durableSeq)
    this.#said = log.durableSeq
  }
}

async function opened(directory: string): Promise<EventLog> {
  return EventLog.open(directory, {
    clock: systemClock,
    segmentBytesMax: SEGMENT_BYTES,
    segmentAgeMsMax: 1e15,
  })
}

/** Adds half an entry and a frame that nothing names, as a kill between two writes does. */
async function tear(directory: string): Promise<void> {
  const folder = join(directory, 'log')
  const indexes = (await readdir(folder)).filter((name) => name.endsWith('.index')).sort()
  const index = join(folder, must(indexes.at(-1), 'index'))
  await appendFile(index, new Uint8Array(40).fill(7))
  await appendFile(index.replace(/index$/u, 'frames'), new Uint8Array(300).fill(7))
}

test('I1, I2: killed at each crash point of the log, nothing that was published changes', async () => {
  await using temporary = await TemporaryDirectory.create('skein-crash-test-')
  const directory = join(temporary.path, 'data')
  const witness = new Witness()
  let life = 0
  for (const [point, nth] of LOG_POINTS) {
    life++
    if (point.startsWith('log-recovery.') && life > 1) await tear(directory)
    const lines = await live(directory, life, point, nth)
    witness.hear(life, lines)
    await using log = await opened(directory)
    try {
      await witness.check(log, life)
    } catch (error) {
      throw new Error(`after ${point}, passage ${nth}, life ${life}`, { cause: error })
    }
  }
  assert.ok(witness.published > 500, `${witness.published} events`)
})
