/**
 * Appends and publishes for ever, printing `seq` after each durable batch, until it is killed.
 * Arguments: directory, segment size in bytes, random seed.
 */
import { writeSync } from 'node:fs'
import { systemClock } from '../../lib/clock.ts'
import { seededRandom } from '../../lib/random.ts'
import { EventLog } from '../event-log.ts'
import { batchOf } from './log-fixtures.ts'

const [directory = '', segmentBytesMax = '', seed = ''] = process.argv.slice(2)
const random = seededRandom(Number(seed))
const log = await EventLog.open(directory, {
  clock: systemClock,
  segmentBytesMax: Number(segmentBytesMax),
  // The times of the events are long ago: without this every batch would begin a segment.
  segmentAgeMsMax: 10 ** 15,
})
for (;;) {
  const shape = { length: 50 + Math.floor(random.next() * 5_000) }
  await log.append(batchOf(log, 1 + Math.floor(random.next() * 20), shape))
  log.publish(log.durableSeq)
  // Straight to the pipe: what has been printed must have been printed when the kill comes.
  writeSync(1, `${log.durableSeq}\n`)
}
