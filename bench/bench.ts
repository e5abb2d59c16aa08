/** What a benchmark is, and the little arithmetic that all of them share. */
import { must } from '../src/lib/assert.ts'

/** A benchmark: `run` measures and prints, to people or as one JSON object. */
export interface Bench {
  readonly summary: string
  readonly run: (context: BenchContext) => Promise<void>
}

export interface BenchContext {
  readonly format: 'text' | 'json'
  /** Prints one line to standard output. */
  readonly print: (line: string) => void
  /** Options of one benchmark that were given, by name. */
  readonly values?: Readonly<Record<string, string | undefined>>
}

/** The middle of the values, of which there is at least one; the upper one of two. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return must(sorted[sorted.length >> 1], 'value')
}

/** What a piece of work took, microseconds. */
export interface Cost {
  /** Of every thread of this process, so that the garbage collector is in it. */
  readonly cpuUs: number
  readonly wallUs: number
}

/** Runs `work` and tells what it took. */
export async function costOf(work: () => void | Promise<void>): Promise<Cost> {
  const wall = performance.now()
  const cpu = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(cpu)
  return { cpuUs: user + system, wallUs: (performance.now() - wall) * 1_000 }
}
