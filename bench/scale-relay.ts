/**
 * The relay of `npm run bench scale`, as an operator would start it, with figures about its own
 * process: `scale-relay.ts DIRECTORY PLC`. Prints a line of JSON when it serves, and one for each
 * line that it reads; ends with its standard input.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { createInterface } from 'node:readline'
import { must } from '../src/lib/assert.ts'
import { stayAwake } from '../src/lib/clock.ts'
import { MetricsRegistry } from '../src/ops/metrics.ts'
import { relayOptions } from '../src/ops/relay-options.ts'
import { startRelay } from '../src/server/start-relay.ts'

/** What the process says of itself. */
export interface RelayFigures {
  readonly address: string
  readonly sinceStartMs: number
  readonly rssMib: number
  readonly rssPeakMib: number
  readonly cpuMs: number
  /** Longest that the main thread was not at the disposal of events since the line before, ms. */
  readonly stallMs: number
  readonly stallP99Ms: number
  readonly hostsToStart: number
  /** Its metrics as text. */
  readonly metrics: string
}

const MIB = 1024 * 1024
const STALL_RESOLUTION_MS = 5
/** Hosts send as fast as they can: it is the relay that is measured. */
const HOST_EVENTS_PER_SECOND = 1_000_000

const data = must(process.argv[2], 'data directory')
const stalls = monitorEventLoopDelay({ resolution: STALL_RESOLUTION_MS })
stalls.enable()
const registry = new MetricsRegistry()
const options = relayOptions({
  data,
  plc: [must(process.argv[3], 'URL of a directory')],
  bind: { host: '127.0.0.1', port: 0 },
  metricsBind: null,
  allowPrivateNetwork: true,
  hostEventsPerSecond: HOST_EVENTS_PER_SECOND,
})
const relay = await startRelay({ ...options, registry })

/** Of a delay that the monitor has seen, what is over its own interval. */
function toMs(ns: number): number {
  return Math.max(0, ns / 1e6 - STALL_RESOLUTION_MS)
}

async function figures(): Promise<RelayFigures> {
  const { user, system } = process.cpuUsage()
  const [stallMs, stallP99Ms] = [toMs(stalls.max), toMs(stalls.percentile(99))]
  stalls.reset()
  const metrics = (await registry.page()).body
  return {
    address: relay.address,
    sinceStartMs: performance.now(),
    rssMib: process.memoryUsage.rss() / MIB,
    rssPeakMib: process.resourceUsage().maxRSS / 1024,
    cpuMs: (user + system) / 1_000,
    stallMs,
    stallP99Ms,
    hostsToStart: Number(/^skein_hosts_to_start (\d+)$/mu.exec(metrics)?.[1]),
    metrics,
  }
}

process.stdout.write(`${JSON.stringify(await figures())}\n`)
for await (const _ of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await figures())}\n`)
}
const awake = stayAwake()
await relay.stop()
awake.cancel()
