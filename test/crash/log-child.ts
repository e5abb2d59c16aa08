/**
 * A log that is to be killed at a crash point: opens the directory of its first argument, appends,
 * publishes, purges and drops old segments, and says on standard output what is done. The second
 * argument says which life this is, which is in every frame; the third and fourth where it ends.
 */
import { writeSync } from 'node:fs'
import { armCrashPoint, type CrashPoint } from '../../src/lib/crash-point.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { seededRandom } from '../../src/lib/random.ts'
import { EventLog } from '../../src/log/event-log.ts'
import { nodeStorage } from '../../src/log/node-storage.ts'
import type { LogStorage } from '../../src/log/storage.ts'
import { eventOfLife, ROUNDS, SEGMENT_BYTES } from './log-events.ts'

const [directory = '', lifeText = '', point = '', nth = ''] = process.argv.slice(2)
const life = Number(lifeText)
const random = seededRandom(life)
const below = (limit: number): number => Math.floor(random.next() * limit)

/** Straight to the pipe: what has been said must have been said when the kill comes. */
const say = (line: string): void => void writeSync(1, `${line}\n`)

/** A disk that is full for a moment, so that a batch fails half-way. */
function fullAt(disk: LogStorage, writes: number): LogStorage {
  let left = writes
  return {
    ...disk,
    async open(path, mode) {
      const file = await disk.open(path, mode)
      return {
        read: (target, position) => file.read(target, position),
        async write(bytes, position) {
          const isFull = path.endsWith('.frames') && --left === 0
          await file.write(isFull ? bytes.subarray(0, bytes.length >> 1) : bytes, position)
          if (isFull) throw Object.assign(new Error('full: injected'), { code: 'ENOSPC' })
        },
        truncate: (length) => file.truncate(length),
        sync: () => file.sync(),
        size: () => file.size(),
        close: () => file.close(),
      }
    },
  }
}

armCrashPoint(point as CrashPoint, Number(nth), () => process.kill(process.pid, 'SIGKILL'))
const log = await EventLog.open(directory, {
  clock: systemClock,
  segmentBytesMax: SEGMENT_BYTES,
  segmentAgeMsMax: 1e15,
  retainBytes: SEGMENT_BYTES * 4,
  storage: point === 'log.failed' ? fullAt(nodeStorage, 3) : nodeStorage,
})
say(`opened ${log.durableSeq}`)
for (let round = 0; round < ROUNDS; round++) {
  const first = log.nextSeq
  const count = 1 + below(12)
  say(`appending ${first} ${count}`)
  await log.append(Array.from({ length: count }, (_, at) => eventOfLife(life, first + at)))
  log.publish(log.durableSeq)
  say(`published ${log.durableSeq}`)
  if (round % 3 === 2) {
    const did = `did:plc:${below(7)}`
    const beforeSeq = Math.max(1, log.nextSeq - below(20))
    say(`purging ${did} ${beforeSeq}`)
    log.purge(did, beforeSeq)
    await log.purgesSettled()
    say(`purged ${did} ${beforeSeq}`)
  }
  if (round % 4 === 3) {
    await log.retain()
    say(`retained ${log.firstSeq}`)
  }
}
await log.close()
say('closed')
