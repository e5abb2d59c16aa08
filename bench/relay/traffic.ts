/** The signed traffic of `npm run bench relay`: made once, kept for the next run. */
import { mkdir, readdir, rename } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { recordTraffic } from '../../src/sim/record-traffic.ts'
import { TRAFFIC_VERSION } from '../../src/sim/traffic-format.ts'
import { TrafficFile } from '../../src/sim/traffic-file.ts'
import { eventKey } from './event-key.ts'

export interface TrafficOptions {
  readonly hosts: number
  readonly accounts: number
  readonly events: number
}

/** As many as half of a repository of the public network have; more make trees deeper. */
const RECORDS = 3_000
/**
 * Of 1,000 accounts the first one writes 3 % of everything. The simulation's own skew would give it
 * a sixth, which is hundreds of commits a second, one after another: no account does that.
 */
const AUTHOR_SKEW = 0.6
/** Of 148 accounts that a relay of the whole network sent, all had keys on the other curve. */
const P256_SHARE = 0.01
const START_MS = Date.UTC(2026, 0, 1)
const RATE = 50
/** To be raised with what the signed traffic depends on and its options do not tell. */
const LAYOUT = 'traffic2'

/**
 * Path of a traffic file that has at least so many events; it is signed when there is none, which
 * takes some 1.5 ms an event. Whoever uses a longer one than another has the same load: hosts send
 * in proportion to what they have.
 */
export async function trafficPath(
  options: TrafficOptions,
  onProgress: (events: number) => void,
): Promise<string> {
  const { hosts, accounts, events } = options
  const directory = join(tmpdir(), 'skein-bench-traffic')
  await mkdir(directory, { recursive: true })
  const prefix = `${[LAYOUT, TRAFFIC_VERSION, hosts, accounts, RECORDS, AUTHOR_SKEW].join('-')}-`
  const found = (await readdir(directory))
    .filter((name) => name.startsWith(prefix))
    .map((name) => Number(name.slice(prefix.length)))
    .filter((size) => size >= events)
    .toSorted((a, b) => a - b)[0]
  if (found !== undefined) return join(directory, `${prefix}${found}`)
  const path = join(directory, `${prefix}${events}`)
  // Others may be at the same: the file appears whole or not at all.
  const part = join(directory, `part-${process.pid}`)
  await recordTraffic(part, {
    seed: 1,
    hosts,
    accounts,
    events,
    records: RECORDS,
    rate: RATE,
    authorSkew: AUTHOR_SKEW,
    p256Share: P256_SHARE,
    startMs: START_MS,
    onProgress,
  })
  await rename(part, path)
  return path
}

/** What is known of the traffic before it is sent. */
export interface TrafficFacts {
  readonly hosts: number
  readonly accounts: number
  readonly events: number
  readonly commits: number
  readonly bytesPerEvent: number
  /** By host, then by seq less one: what a commit is known by, null for other events. */
  readonly keys: readonly (readonly (string | null)[])[]
}

/** Reads all of the file once, so that it is in the system's cache, too. */
export function trafficFacts(path: string): TrafficFacts {
  using traffic = TrafficFile.open(path)
  const { hosts, accounts } = traffic.header
  const keys = Array.from({ length: hosts }, (_, host) =>
    Array.from(traffic.frames(host), ({ buffer, byteOffset, length }) =>
      eventKey(Buffer.from(buffer, byteOffset, length)),
    ),
  )
  const events = keys.reduce((sum, ofHost) => sum + ofHost.length, 0)
  return {
    hosts,
    accounts: accounts.length,
    events,
    commits: keys.reduce((sum, ofHost) => sum + ofHost.filter((key) => key !== null).length, 0),
    bytesPerEvent: Math.round(traffic.wireBytes / events),
    keys,
  }
}
