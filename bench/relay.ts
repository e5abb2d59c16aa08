/**
 * A whole relay under load, over loopback: hosts that replay signed traffic, the relay as an
 * operator starts it, and subscribers, each in a process of its own. What the figures mean:
 * docs/performance.md.
 */
import { relative } from 'node:path'

import { type Bench, type BenchContext, UsageError } from './bench.ts'
import { type LiveFigures, liveEvents, type LivePlan, measureLive } from './relay/live.ts'
import { type LearnsHosts, type RelayRecipe, skeinRecipe } from './relay/relay-process.ts'
import { measureReplay, type ReplayFigures, replayEvents } from './relay/replay.ts'
import { sayComparison, sayHead, sayLive, sayReplay, type Say } from './relay/report.ts'
import {
  BASELINE_PATH,
  compare,
  readResult,
  type RelayResult,
  thisMachine,
  writeResult,
} from './relay/result.ts'
import { trafficFacts, trafficPath } from './relay/traffic.ts'

const SCENARIOS = ['live', 'replay', 'all'] as const
const SUBSCRIBERS = [1, 50, 500] as const
const SUBSCRIBERS_MAX = 2_000
const HOSTS_MAX = 256
const EVENTS_MAX = 1_000_000
const ROUNDS_MAX = 100
/** As many commits a second as the whole public network has at its busiest, several times. */
const RATE_MAX = 100_000

export const relayBench: Bench = {
  options: {
    scenario: { value: 'NAME', text: 'live, replay or all [all]' },
    subscribers: { value: 'LIST', text: 'numbers of subscribers [1,50,500]' },
    events: { value: 'N', text: 'events of a round as fast as they are taken [12000]' },
    rounds: { value: 'N', text: 'rounds of each load; figures are medians [3]' },
    rate: { value: 'R', text: 'events a second where they are paced [1000; fewer to many]' },
    hosts: { value: 'H', text: 'simulated hosts [20]' },
    accounts: { value: 'N', text: 'accounts of all hosts together [1000]' },
    baseline: { value: 'FILE', text: 'result to compare with [bench/baselines/relay.json]' },
    record: { value: null, text: 'write the result to that file' },
    'relay-command': { value: 'CMD', text: 'another relay; see below' },
    'relay-name': { value: 'NAME', text: 'what it is called in the result' },
    'relay-hosts': {
      value: 'HOW',
      text: 'how it learns hosts: flag, request-crawl or call [flag]',
    },
    'relay-call': { value: 'CALL', text: 'METHOD URL BODY of that call, made for each host' },
    'relay-header': { value: 'LINE', text: 'header of that call; repeatable', repeats: true },
  },
  help: [
    '',
    'Another relay: CMD is for a shell, with {port} and {metrics-port} to listen on at 127.0.0.1,',
    '{data} an empty directory, {plc} the URL of the directory, {hosts} the URLs of all hosts with',
    'commas between them, {host-names} the same without http://. Lift its limits on events and on',
    'connections from one address. CALL may have {port}, {host} (http://localhost:1234) and',
    '{host-name} (localhost:1234):',
    '',
    "  --relay-command 'myrelay --listen :{port} --dir {data} --plc {plc}' --relay-hosts call \\",
    `  --relay-call 'POST http://127.0.0.1:{port}/admin/hosts {"hostname":"{host}"}' \\`,
    "  --relay-header 'authorization: Basic YWRtaW46c2VjcmV0'",
    '',
    'Signed traffic is kept in the temporary directory of the system for the next run.',
  ],
  run,
}

interface Plan {
  readonly scenario: (typeof SCENARIOS)[number]
  readonly hosts: number
  readonly accounts: number
  readonly subscribers: readonly number[]
  readonly events: number
  readonly rounds: number
  readonly rate: number | null
  readonly recipe: RelayRecipe
  readonly baselinePath: string
  readonly record: boolean
}

async function run({ format, print, values }: BenchContext): Promise<void> {
  const say: Say = (line) => void (format === 'text' && print(line))
  const plan = readPlan(values)
  const before = plan.record ? null : readResult(plan.baselinePath)
  const result = await measureAll(plan, say)
  if (plan.record) writeResult(plan.baselinePath, result)
  const comparisons = before === null ? [] : compare(result, before)
  sayComparison(say, relative(process.cwd(), plan.baselinePath), comparisons)
  if (format === 'json') print(JSON.stringify({ ...result, beside_baseline: comparisons }))
}

async function measureAll(plan: Plan, say: Say): Promise<RelayResult> {
  const { scenario, subscribers, recipe, hosts, accounts, events } = plan
  const livePlans = scenario === 'replay' ? [] : subscribers.map((count) => livePlan(plan, count))
  const replayPlans = scenario === 'live' ? [] : [plan]
  const needed = [...livePlans.map(liveEvents), ...replayPlans.map(replayEvents)]
  const path = await trafficPath({ hosts, accounts, events: Math.max(...needed) }, (done) =>
    process.stderr.write(`signing traffic: ${done} events\n`),
  )
  const traffic = trafficFacts(path)
  const machine = thisMachine()
  sayHead(say, recipe.name, machine, traffic)
  const options = { recipe, trafficPath: path, traffic }
  const live: LiveFigures[] = []
  for (const each of livePlans) {
    const figures = await measureLive(options, each)
    live.push(figures)
    sayLive(say, figures)
  }
  const replay: ReplayFigures[] = []
  for (const each of replayPlans) replay.push(...(await measureReplay(options, each)))
  for (const figures of replay) sayReplay(say, figures)
  return {
    bench: 'relay',
    relay: recipe.name,
    machine,
    traffic: {
      hosts,
      accounts,
      bytes_per_event: traffic.bytesPerEvent,
      events_per_round: events,
    },
    live,
    replay,
  }
}

function livePlan({ events, rounds, rate }: Plan, subscribers: number): LivePlan {
  return { subscribers, events, rounds, rate }
}

// ---- Options

type Values = BenchContext['values']

function readPlan(values: Values): Plan {
  const number = (name: string, fallback: number, most: number): number =>
    wholeNumber(`--${name}`, textOf(values, name) ?? String(fallback), most)
  const list = textOf(values, 'subscribers')?.split(',') ?? SUBSCRIBERS.map(String)
  return {
    scenario: oneOf('scenario', textOf(values, 'scenario') ?? 'all', SCENARIOS),
    hosts: number('hosts', 20, HOSTS_MAX),
    accounts: number('accounts', 1_000, EVENTS_MAX),
    subscribers: list.map((text) => wholeNumber('--subscribers', text, SUBSCRIBERS_MAX)),
    events: number('events', 12_000, EVENTS_MAX),
    rounds: number('rounds', 3, ROUNDS_MAX),
    rate: textOf(values, 'rate') === null ? null : number('rate', 1, RATE_MAX),
    recipe: readRecipe(values),
    baselinePath: textOf(values, 'baseline') ?? BASELINE_PATH,
    record: values['record'] === true,
  }
}

function readRecipe(values: Values): RelayRecipe {
  const command = textOf(values, 'relay-command')
  if (command === null) return skeinRecipe()
  if (!command.includes('{port}')) throw new UsageError('--relay-command has {port} somewhere')
  return {
    name: textOf(values, 'relay-name') ?? 'another relay',
    command,
    learnsHosts: readLearnsHosts(values),
    droppedMetric: null,
  }
}

function readLearnsHosts(values: Values): LearnsHosts {
  const by = oneOf('relay-hosts', textOf(values, 'relay-hosts') ?? 'flag', [
    'flag',
    'request-crawl',
    'call',
  ])
  if (by !== 'call') return { by }
  const call = textOf(values, 'relay-call')
  if (call === null) throw new UsageError('--relay-hosts call takes --relay-call')
  const headers = values['relay-header']
  return { by, call, headers: Array.isArray(headers) ? headers : [] }
}

function textOf(values: Values, name: string): string | null {
  const value = values[name]
  return typeof value === 'string' ? value : null
}

function wholeNumber(name: string, text: string, most: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0
  if (value >= 1 && value <= most) return value
  throw new UsageError(`${name} takes a number from 1 to ${most}`)
}

function oneOf<T extends string>(name: string, text: string, allowed: readonly T[]): T {
  const found = allowed.find((each) => each === text)
  if (found !== undefined) return found
  throw new UsageError(`--${name} takes ${allowed.join(', ')}`)
}
