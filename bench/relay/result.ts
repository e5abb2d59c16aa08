/** The result as it is written down, and how it compares with one of before. */
import { readFileSync, writeFileSync, mkdirSync } from 'node:fs'
import { arch, availableParallelism, cpus, platform, release, totalmem } from 'node:os'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

import { messageOf } from '../../src/lib/errors.ts'
import { UsageError } from '../bench.ts'
import { rounded } from './figures.ts'
import type { LiveFigures } from './live.ts'
import type { ReplayFigures } from './replay.ts'

/** What `--json` prints and `--record` keeps. */
export interface RelayResult {
  readonly bench: 'relay'
  readonly relay: string
  readonly machine: Machine
  readonly traffic: {
    readonly hosts: number
    readonly accounts: number
    readonly bytes_per_event: number
    readonly events_per_round: number
  }
  readonly live: readonly LiveFigures[]
  readonly replay: readonly ReplayFigures[]
}

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memory_mib: number
  readonly system: string
  readonly node: string
}

/** A figure beside that of the baseline. */
export interface Comparison {
  readonly figure: string
  readonly now: number
  readonly before: number
  /** Of now to before. */
  readonly ratio: number
}

export const BASELINE_PATH: string = fileURLToPath(
  new URL('../baselines/relay.json', import.meta.url),
)

export function thisMachine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memory_mib: Math.round(totalmem() / 2 ** 20),
    system: `${platform()} ${release()} ${arch()}`,
    node: process.version,
  }
}

/** Null when there is no such file. */
export function readResult(path: string): RelayResult | null {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    return null
  }
  try {
    const result = JSON.parse(text) as Partial<RelayResult>
    if (result.bench === 'relay' && Array.isArray(result.live) && Array.isArray(result.replay)) {
      return result as RelayResult
    }
  } catch (error) {
    throw new UsageError(`${path} is no result of this benchmark: ${messageOf(error)}`)
  }
  throw new UsageError(`${path} is no result of this benchmark`)
}

export function writeResult(path: string, result: RelayResult): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, `${JSON.stringify(result, null, 2)}\n`)
}

/** The figures that both have. */
export function compare(now: RelayResult, before: RelayResult): Comparison[] {
  const then = mainFigures(before)
  return [...mainFigures(now)].flatMap(([figure, value]) => {
    const old = then.get(figure)
    if (old === undefined || old === 0) return []
    return [{ figure, now: value, before: old, ratio: rounded(value / old) }]
  })
}

function mainFigures({ live, replay }: RelayResult): ReadonlyMap<string, number> {
  const found = new Map<string, number>()
  const put = (name: string, value: number | null | undefined): void => {
    if (value !== null && value !== undefined) found.set(name, value)
  }
  for (const { subscribers, saturated, paced, ...rest } of live) {
    const at = `live, ${subscribers} subscribers`
    put(`${at}: commits/s`, saturated.commits_per_s.median)
    put(`${at}: relay CPU s/million events`, saturated.cpu_s_per_million_events?.relay)
    put(`${at}: RSS MiB`, saturated.rss_mib)
    put(`${at}: CPU s/million added deliveries`, rest.cpu_s_per_million_added_deliveries)
    const load = paced.find((each) => each.subscribers === subscribers)
    put(`${at}, ${load?.rate} events/s: p50 ms`, load?.latency?.p50Ms)
    put(`${at}, ${load?.rate} events/s: p99 ms`, load?.latency?.p99Ms)
    put(`${at}, ${load?.rate} events/s: relay CPU s`, load?.cpu_s_per_million_events?.relay)
  }
  for (const { subscribers, events_per_s, ...rest } of replay) {
    const at = `replay, ${subscribers} subscribers`
    put(`${at}: events/s`, events_per_s.median)
    put(`${at}: CPU s/million deliveries`, rest.relay_cpu_s_per_million_deliveries)
    put(`${at}: RSS MiB`, rest.rss_mib)
    put(`${at}: p99 ms of another, live`, rest.live.meanwhile?.p99Ms)
  }
  return found
}
