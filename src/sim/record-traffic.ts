/** Signs traffic once, for load tests that should not spend their time on it. */
import { formatDidKey } from '../crypto/public-key.ts'
import { must } from '../lib/assert.ts'
import { Simulation, type SimulationOptions } from './simulation.ts'
import { TrafficWriter } from './traffic-writer.ts'

export interface RecordOptions extends Pick<
  SimulationOptions,
  'seed' | 'accounts' | 'records' | 'rate' | 'authorSkew' | 'p256Share' | 'startMs'
> {
  readonly hosts: number
  /** Events to sign. */
  readonly events: number
  /** Told now and then how many are signed. */
  readonly onProgress?: (events: number) => void
}

const PROGRESS_EVENTS = 1_000
/** Enough for the events that wait to be written. */
const BACKLOG_BYTES_MAX = 16 * 1024 * 1024

/**
 * Writes everyday traffic to a file: commits, and now and then an `#identity`. No account moves or
 * changes its key, so that one document each is enough to verify all of it.
 *
 * @returns How many frames were written.
 */
export async function recordTraffic(path: string, options: RecordOptions): Promise<number> {
  const { seed, accounts, records, rate, authorSkew, p256Share, startMs, hosts } = options
  const sim = new Simulation({
    seed,
    accounts,
    records,
    rate,
    startMs,
    ...(authorSkew === undefined ? {} : { authorSkew }),
    ...(p256Share === undefined ? {} : { p256Share }),
    endpoints: Array.from({ length: hosts }, (_, i) => `https://pds${i}.sim.example.com`),
    backlogBytesMax: BACKLOG_BYTES_MAX,
  })
  await using writer = await TrafficWriter.create(path, {
    seed,
    hosts,
    accounts: sim.accounts.map(({ did, handle, host, repo }) => ({
      did,
      handle,
      host,
      key: formatDidKey(repo.key.publicKey),
      format: must(sim.directory.formatOf(did), 'document format'),
    })),
  })
  const written = sim.hosts.map(() => 0)
  for (let i = 1; i <= options.events; i++) {
    sim.advanceTo(sim.nextArrivalMs())
    sim.traffic()
    for (const { index, log } of sim.hosts) {
      const message = log.after(must(written[index], 'host'))
      if (message === null || !(message.data instanceof Uint8Array)) continue
      written[index] = message.seq
      await writer.add(index, message.data)
    }
    if (i % PROGRESS_EVENTS === 0) options.onProgress?.(i)
  }
  await writer.finish()
  return writer.frames
}
