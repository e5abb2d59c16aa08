/** A closed window of events to one subscriber or many, from the oldest on, while the log rests. */
import { median } from '../bench.ts'
import { rounded, type Spread, spreadOf } from './figures.ts'
import type { Latency } from './latencies.ts'
import { type Replay, Session, type SessionOptions } from './session.ts'

/** How much of what. */
export interface ReplayPlan {
  /** Numbers of subscribers, one after another. */
  readonly subscribers: readonly number[]
  /** A quarter of the window. */
  readonly events: number
  readonly rounds: number
  /** Events a second of the live stream beside replays; null: {@link LIVE_RATE}. */
  readonly rate: number | null
}

export interface ReplayFigures {
  readonly subscribers: number
  readonly rounds: number
  /** Each subscriber reads so many, from cursor 0 on. */
  readonly events_each: number
  readonly events_per_s: Spread
  readonly megabytes_per_s: number
  /** Null where the system does not tell. */
  readonly relay_cpu_s_per_million_deliveries: number | null
  readonly subscribers_cpu_s_per_million_deliveries: number | null
  readonly rss_mib: number | null
  readonly rss_peak_mib: number | null
  /** Latency of another subscriber, which is live: before, and while these replay over and over. */
  readonly live: {
    readonly rate: number
    readonly alone: Latency | null
    readonly meanwhile: Latency | null
    /** Events that came to all who replayed, meanwhile. */
    readonly replayed_per_s: number
  }
}

const WINDOW_PARTS = 4
const LIVE_RATE = 200
const LIVE_SECONDS = 4
/** Of a round: 5 GB, which two cores deliver in some seconds. */
const DELIVERIES_MAX = 1_000_000

/** Events that the traffic has to have. */
export function replayEvents(plan: ReplayPlan): number {
  return WINDOW_PARTS * plan.events + plan.subscribers.length * 2 * beside(plan)
}

function beside({ events, rate }: ReplayPlan): number {
  return Math.min(events, LIVE_SECONDS * (rate ?? LIVE_RATE))
}

/** One relay, whose log is filled first. */
export async function measureReplay(
  options: SessionOptions,
  plan: ReplayPlan,
): Promise<ReplayFigures[]> {
  await using session = await Session.start(options)
  const { received: window } = await session.measure(WINDOW_PARTS * plan.events, 'taken')
  const found: ReplayFigures[] = []
  for (const subscribers of plan.subscribers) {
    found.push(await measureOne(session, { ...plan, window }, subscribers))
  }
  return found
}

async function measureOne(
  session: Session,
  plan: ReplayPlan & { readonly window: number },
  subscribers: number,
): Promise<ReplayFigures> {
  const { rounds, window } = plan
  const each = Math.min(window, Math.ceil(DELIVERIES_MAX / subscribers))
  const replays: Replay[] = []
  // One round more than is counted: the first one reads what the system has not yet at hand.
  for (let i = 0; i <= rounds; i++) {
    const replay = await session.replay(subscribers, each)
    if (i > 0) replays.push(replay)
  }
  const deliveries = subscribers * each
  const cpu = (part: 'relay' | 'crowd'): number | null => {
    const known = replays.flatMap(({ cpuUs }) => cpuUs ?? [])
    return known.length === 0 ? null : rounded(median(known.map((us) => us[part] / deliveries)))
  }
  const relays = replays.flatMap(({ relay }) => relay ?? [])
  const hasMemory = relays.length > 0
  return {
    subscribers,
    rounds,
    events_each: each,
    events_per_s: spreadOf(replays.map(({ seconds }) => deliveries / seconds)),
    megabytes_per_s: rounded(
      median(replays.map(({ seconds, received }) => received.bytes / seconds / 1e6)),
    ),
    relay_cpu_s_per_million_deliveries: cpu('relay'),
    subscribers_cpu_s_per_million_deliveries: cpu('crowd'),
    rss_mib: hasMemory ? rounded(median(relays.map(({ rssMib }) => rssMib))) : null,
    rss_peak_mib: hasMemory
      ? rounded(Math.max(...relays.map(({ rssPeakMib }) => rssPeakMib)))
      : null,
    live: await measureBeside(session, plan, subscribers, each),
  }
}

async function measureBeside(
  session: Session,
  plan: ReplayPlan,
  subscribers: number,
  each: number,
): Promise<ReplayFigures['live']> {
  const rate = plan.rate ?? LIVE_RATE
  await session.subscribe(1)
  const alone = await session.measure(beside(plan), rate)
  await session.replayAgainAndAgain(subscribers, each)
  const meanwhile = await session.measure(beside(plan), rate)
  const { messages } = await session.crowdReceived()
  await session.subscribe(1)
  return {
    rate,
    alone: shown(alone.latency),
    meanwhile: shown(meanwhile.latency),
    replayed_per_s: rounded(messages / meanwhile.seconds),
  }
}

function shown(latency: Latency | null): Latency | null {
  if (latency === null) return null
  const { p50Ms, p99Ms, maxMs } = latency
  return { p50Ms: rounded(p50Ms), p99Ms: rounded(p99Ms), maxMs: rounded(maxMs) }
}
