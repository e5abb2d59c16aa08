/**
 * Replays a traffic file in a process of its own, so that who reads it has a thread to itself:
 * `consumer-hosts.ts FILE`. Prints a line of JSON when it listens; ends with its standard input.
 */
import { startReplay } from '../src/sim/replay-traffic.ts'
import { TrafficFile } from '../src/sim/traffic-file.ts'
import { must } from '../src/lib/assert.ts'

/** What the process says of itself. */
export interface ReplayHosts {
  readonly plcUrl: string
  /** `http://localhost:1234` of the one host. */
  readonly endpoint: string
  readonly frames: number
  /** did:key by DID. */
  readonly keys: Readonly<Record<string, string>>
}

using traffic = TrafficFile.open(must(process.argv[2], 'path of a traffic file'))
await using replay = await startReplay({ traffic, rate: null })
replay.start()
const hosts: ReplayHosts = {
  plcUrl: replay.plcUrl,
  endpoint: must(replay.endpoints[0], 'endpoint'),
  frames: replay.frames,
  keys: Object.fromEntries(traffic.header.accounts.map(({ did, key }) => [did, key])),
}
process.stdout.write(`${JSON.stringify(hosts)}\n`)
await new Promise((resolve) => {
  process.stdin.on('end', resolve).on('close', resolve).resume()
})
