/** What a benchmark is, and the little arithmetic that all of them share. */
import { must } from '../src/lib/assert.ts'

/** A benchmark: `run` measures and prints, to people or as one JSON object. */
export interface Bench {
  /** What it takes besides the options of all of them, by name; in the order of the help. */
  readonly options?: Readonly<Record<string, BenchOption>>
  /** Lines below the options in its help: examples. */
  readonly help?: readonly string[]
  /** @throws UsageError when an option has a value that it cannot have. */
  readonly run: (context: BenchContext) => Promise<void>
}

export interface BenchOption {
  /** What stands for its value in the help; null for a switch. */
  readonly value: string | null
  readonly text: string
  /** Whether it may be given several times. */
  readonly repeats?: boolean
}

export interface BenchContext {
  readonly format: 'text' | 'json'
  /** Prints one line to standard output. */
  readonly print: (line: string) => void
  /** The bench's own options that were given; more than one text where one repeats. */
  readonly values: Readonly<Record<string, string | boolean | readonly string[] | undefined>>
}

/** The command line is wrong; the message says what is allowed. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
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
