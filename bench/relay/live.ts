/** Live traffic to one subscriber or many. */
import { median } from '../bench.ts'
import { type LoadFigures, loadFigures, rounded } from './figures.ts'
import { type Round, Session, type SessionOptions } from './session.ts'

/** How much of what. */
export interface LivePlan {
  /** The metering subscriber included. */
  readonly subscribers: number
  /** Of a round at full load to one subscriber. */
  readonly events: number
  readonly rounds: number
  /** Events a second of paced rounds; null: what {@link pacedRate} says. */
  readonly rate: number | null
}

export interface LiveFigures {
  readonly subscribers: number
  /** As many events as the relay takes. */
  readonly saturated: LoadFigures
  readonly paced: readonly LoadFigures[]
  /**
   * CPU seconds of the relay for a million deliveries: what it uses more than with one subscriber
   * at the same rate, by the deliveries that are more. Null with one subscriber.
   */
  readonly cpu_s_per_million_added_deliveries: number | null
  /** Events that the relay says it has dropped, by reason; none where it does not tell. */
  readonly dropped: Readonly<Record<string, number>>
  /** Below each entry of the data directory. */
  readonly disk_bytes_per_event: Readonly<Record<string, number>>
}

/** Deliveries of a round at full load: 5 GB, which two cores deliver in some seconds. */
const DELIVERIES_MAX = 1_000_000
/** Deliveries a second that a small machine bears, hosts and subscribers included. */
const DELIVERIES_PER_SECOND = 100_000
const RATE_MAX = 1_000
const PACED_SECONDS = 4

/** Events a second of paced rounds to so many subscribers. */
export function pacedRate(subscribers: number): number {
  return Math.min(RATE_MAX, Math.floor(DELIVERIES_PER_SECOND / subscribers))
}

/** Events that the traffic has to have. */
export function liveEvents(plan: LivePlan): number {
  const { subscribers, events, rounds } = plan
  const saturated = warmUpEvents(plan) + rounds * saturatedEvents(plan)
  if (subscribers === 1) return saturated + 2 * events
  return saturated + 2 * rounds * pacedEvents(plan)
}

/** Every identity is resolved and the code compiled after as many. */
function warmUpEvents({ events }: LivePlan): number {
  return events
}

function saturatedEvents({ subscribers, events }: LivePlan): number {
  return Math.min(events, Math.ceil(DELIVERIES_MAX / subscribers))
}

function pacedEvents({ subscribers, events, rate }: LivePlan): number {
  return Math.min(events, PACED_SECONDS * (rate ?? pacedRate(subscribers)))
}

/** A relay of its own, from its first event on. */
export async function measureLive(options: SessionOptions, plan: LivePlan): Promise<LiveFigures> {
  const { subscribers, rounds } = plan
  await using session = await Session.start(options)
  await session.measure(warmUpEvents(plan), 'taken')
  await session.subscribe(subscribers)
  const full: Round[] = []
  for (let i = 0; i < rounds; i++) {
    full.push(await session.measure(saturatedEvents(plan), 'taken'))
  }
  const saturated = loadFigures(full, { subscribers, rate: null })
  const rest =
    subscribers === 1
      ? { paced: await pacedAlone(session, plan, saturated), cost: null }
      : await pacedTogether(session, plan)
  const disk = Object.entries(await session.disk())
  return {
    subscribers,
    saturated,
    paced: rest.paced,
    cpu_s_per_million_added_deliveries: rest.cost,
    dropped: await session.dropped(),
    disk_bytes_per_event: Object.fromEntries(
      disk.map(([name, bytes]) => [name, rounded(bytes / session.eventsPublished)]),
    ),
  }
}

/** At the rate of the plan, and at half of what the relay has shown that it takes. */
async function pacedAlone(
  session: Session,
  { events, rounds, rate }: LivePlan,
  saturated: LoadFigures,
): Promise<LoadFigures[]> {
  const found: LoadFigures[] = []
  const half = Math.max(1, Math.round(saturated.deliveries_per_s.median / 2))
  for (const each of rate === null ? [RATE_MAX, half] : [rate]) {
    const paced: Round[] = []
    for (let i = 0; i < rounds; i++) {
      paced.push(await session.measure(Math.floor(events / rounds), each))
    }
    found.push(loadFigures(paced, { subscribers: 1, rate: each }))
  }
  return found
}

/** With one subscriber and with all in turn, so that both see the same weather. */
async function pacedTogether(
  session: Session,
  plan: LivePlan,
): Promise<{ readonly paced: LoadFigures[]; readonly cost: number | null }> {
  const { subscribers, rounds } = plan
  const rate = plan.rate ?? pacedRate(subscribers)
  const alone: Round[] = []
  const together: Round[] = []
  for (let i = 0; i < rounds; i++) {
    await session.subscribe(1)
    alone.push(await session.measure(pacedEvents(plan), rate))
    await session.subscribe(subscribers)
    together.push(await session.measure(pacedEvents(plan), rate))
  }
  const costs = together.flatMap(({ cpuUs, deliveries }, i) => {
    const one = alone[i]
    if (cpuUs === null || one?.cpuUs === undefined || one.cpuUs === null) return []
    return [(cpuUs.relay - one.cpuUs.relay) / (deliveries - one.deliveries)]
  })
  return {
    paced: [
      loadFigures(alone, { subscribers: 1, rate }),
      loadFigures(together, { subscribers, rate }),
    ],
    cost: costs.length === 0 ? null : rounded(median(costs)),
  }
}
