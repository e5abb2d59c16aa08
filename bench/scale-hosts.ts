/**
 * Replays the traffic of `npm run bench scale` in a process of its own: `scale-hosts.ts FILE
 * [RATE]`, with so many events a second, or all at once. Prints a line when it listens; lets the
 * events begin when it reads `start`; ends with its standard input.
 */
import { createInterface } from 'node:readline'
import { must } from '../src/lib/assert.ts'
import { startReplay } from '../src/sim/replay-traffic.ts'
import { TrafficFile } from '../src/sim/traffic-file.ts'
import { FIRST_PORT } from './scale-state.ts'

using traffic = TrafficFile.open(must(process.argv[2], 'path of a traffic file'))
const rate = process.argv[3] === undefined ? null : Number(process.argv[3])
await using replay = await startReplay({ traffic, rate, port: FIRST_PORT })
process.stdout.write(`${JSON.stringify({ frames: replay.frames })}\n`)
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'start') replay.start()
}
