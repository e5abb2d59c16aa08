/**
 * A whole relay under load, over loopback: hosts that replay signed traffic, the relay as an
 * operator starts it, and subscribers, each in a process of its own. What the figures mean:
 * docs/performance.md.
 */
import { type Bench, type BenchContext, UsageError } from './bench.ts'
import { type LiveFigures, liveEvents, type LivePlan, measureLive } from './relay/live.ts'
import { sayLive } from './relay/report.ts'
import { type RelayRecipe, skeinRecipe } from './relay/relay-process.ts'
import { trafficFacts, trafficPath } from './relay/traffic.ts'

const DEFAULTS = { hosts: 20, accounts: 1_000, events: 12_000, rounds: 3 } as const

export const relayBench: Bench = {
  summary: 'a whole relay under load: hosts, relay and subscribers as processes of their own',
  options: {
    subscribers: { value: 'LIST', text: 'numbers of subscribers [1,50,500]' },
    events: { value: 'N', text: 'events of a round at full load [12000]' },
    rounds: { value: 'N', text: 'rounds of each load; figures are medians [3]' },
    rate: { value: 'R', text: 'events a second of paced rounds [1000; fewer to many]' },
    hosts: { value: 'H', text: 'simulated hosts [20]' },
    accounts: { value: 'N', text: 'accounts of all hosts together [1000]' },
  },
  run,
}

async function run({ format, print, values }: BenchContext): Promise<void> {
  const say = (line: string): void => void (format === 'text' && print(line))
  const number = (name: string, fallback: number): number => {
    const text = values[name]
    if (text === undefined) return fallback
    if (typeof text === 'string' && /^[1-9]\d{0,8}$/.test(text)) return Number(text)
    throw new UsageError(`--${name} takes a number from 1 on`)
  }
  const list = String(values['subscribers'] ?? '1,50,500').split(',')
  const rounds = number('rounds', DEFAULTS.rounds)
  const events = number('events', DEFAULTS.events)
  const rate = values['rate'] === undefined ? null : number('rate', 1)
  const plans = list.map((subscribers): LivePlan => ({
    subscribers: Number(subscribers),
    events,
    rounds,
    rate,
  }))
  const path = await trafficPath(
    {
      hosts: number('hosts', DEFAULTS.hosts),
      accounts: number('accounts', DEFAULTS.accounts),
      events: Math.max(...plans.map((plan) => liveEvents(plan))),
    },
    (done) => process.stderr.write(`\rsigning traffic: ${done} events `),
  )
  const traffic = trafficFacts(path)
  const recipe: RelayRecipe = skeinRecipe()
  const live: LiveFigures[] = []
  for (const plan of plans) {
    const figures = await measureLive({ recipe, trafficPath: path, traffic }, plan)
    live.push(figures)
    sayLive(say, figures)
  }
  if (format === 'json') print(JSON.stringify({ live }))
}
