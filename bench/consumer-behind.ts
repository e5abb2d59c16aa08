/**
 * A verified consumer that keeps up at first, and then has a handler far slower than the stream: in
 * a process of its own, so that its memory is the consumer's. `consumer-behind.ts SERVICE PLC`.
 */
import { runConsumer } from '../src/client/consumer/run-consumer.ts'
import { createIdentityResolver } from '../src/identity/create-identity-resolver.ts'
import { must } from '../src/lib/assert.ts'
import { sleep, systemClock } from '../src/lib/clock.ts'
import { median } from './bench.ts'

const MIB = 2 ** 20
const RUN_MS = 30_000
const LOOK_MS = 500
/** Deliveries that are handled at once, so that the heap has the size of one at work. */
const FAST_DELIVERIES = 10_000
/** Two handlers at once and 25 ms each: 80 events a second, of a stream that has thousands. */
const HANDLER_MS = 25
const CONCURRENCY = 2

/** What was found, as one line of JSON on standard output. */
export interface BehindFindings {
  /** All that follows is of this time, in which the handler is slow. */
  readonly seconds: number
  readonly handled: number
  readonly received: number
  /** Share of the time in which the source was held back. */
  readonly heldShare: number
  readonly waitingFramesMost: number
  readonly waitingBytesMost: number
  /** Every two seconds, MiB. */
  readonly rssMib: readonly number[]
  /** From the first third to the last one, medians, MiB. */
  readonly rssGrowthMib: number
  /** From the first look to the greatest, MiB. */
  readonly rssPeakMib: number
}

interface Look {
  readonly rssMib: number
  readonly isHeld: boolean
}

async function measure(service: string, plcUrl: string): Promise<BehindFindings> {
  const identities = createIdentityResolver({ userAgent: 'skein-bench', plcDirectories: [plcUrl] })
  let fast = 0
  let handled = 0
  const isSlow = Promise.withResolvers<void>()
  await using consumer = runConsumer({
    service,
    cursor: 'oldest',
    identities,
    concurrency: CONCURRENCY,
    handler: () => {
      if (fast++ < FAST_DELIVERIES) return undefined
      isSlow.resolve()
      return sleep(systemClock, HANDLER_MS).then(() => void handled++)
    },
  })
  await isSlow.promise
  const before = consumer.stats.received
  const looks: Look[] = []
  let [waitingFramesMost, waitingBytesMost] = [0, 0]
  const startMs = performance.now()
  while (performance.now() - startMs < RUN_MS) {
    await sleep(systemClock, LOOK_MS)
    const { waitingFrames, waitingBytes } = consumer.stats
    waitingFramesMost = Math.max(waitingFramesMost, waitingFrames)
    waitingBytesMost = Math.max(waitingBytesMost, waitingBytes)
    looks.push({ rssMib: process.memoryUsage.rss() / MIB, isHeld: consumer.state.isHeld })
  }
  const received = consumer.stats.received - before
  const rss = looks.map(({ rssMib }) => rssMib)
  const third = Math.floor(rss.length / 3)
  await identities.close()
  return {
    seconds: RUN_MS / 1_000,
    handled,
    received,
    heldShare: looks.filter(({ isHeld }) => isHeld).length / looks.length,
    waitingFramesMost,
    waitingBytesMost,
    rssMib: rss.filter((_, i) => i % 4 === 0).map((mib) => Math.round(mib)),
    rssGrowthMib: median(rss.slice(-third)) - median(rss.slice(0, third)),
    rssPeakMib: Math.max(...rss) - must(rss[0], 'look'),
  }
}

const [service, plcUrl] = process.argv.slice(2)
const findings = await measure(must(service, 'service'), must(plcUrl, 'PLC'))
process.stdout.write(`${JSON.stringify(findings)}\n`)
process.exit()
