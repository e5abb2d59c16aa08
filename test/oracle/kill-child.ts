/**
 * A relay that is to be killed. Its argument is JSON: what it reads, where it keeps things, and the
 * crash point at which it ends, if any. On standard output it says how far its log went when it was
 * opened, where it serves, and whatever was published or saved out of order.
 */
import { writeSync } from 'node:fs'
import { armCrashPoint } from '../../src/lib/crash-point.ts'
import { startRelay } from '../../src/server/start-relay.ts'
import { OrderRecorder } from '../support/order-recorder.ts'
import type { KillRelayOptions } from './kill-relay.ts'

/** Segments are small, so that new ones begin several times in a life. */
const SEGMENT_BYTES = 256 * 1024
/** Most readers behind the tip read files. */
const TAIL_BYTES = 512 * 1024

/** Straight to the pipe: what has been said must have been said when the kill comes. */
const say = (line: string): void => void writeSync(1, `${line.replaceAll('\n', ' ')}\n`)

const { data, plc, hosts, point, nth } = JSON.parse(process.argv[2] ?? '') as KillRelayOptions
if (point !== null) armCrashPoint(point, nth, () => process.kill(process.pid, 'SIGKILL'))
const recorder = new OrderRecorder()
recorder.onViolation((text) => say(`violation ${text}`))
const stop = Promise.withResolvers<null>()
process.once('SIGTERM', () => stop.resolve(null))
const relay = await startRelay({
  data,
  plc: [plc],
  hosts,
  verifierThreads: 2,
  logOptions: {
    storage: recorder.storage,
    segmentBytesMax: SEGMENT_BYTES,
    tailBytesMax: TAIL_BYTES,
  },
  onOpen(parts) {
    recorder.watch(parts)
    say(`opened ${parts.log.durableSeq}`)
  },
})
say(`serving ${relay.address}`)
const failure = await Promise.race([stop.promise, relay.failed])
if (failure !== null) say(`violation the relay failed: ${failure.message}`)
await relay.stop()
process.exit(failure === null ? 0 : 1)
