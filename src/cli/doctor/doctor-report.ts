/** What `skein doctor` found, step by step. */

import type { Clock } from '../../lib/clock.ts'
import { messageOf, SkeinError } from '../../lib/errors.ts'
import { PROBLEMS, type ProblemCode } from './doctor-problems.ts'
import type { DoctorStepName } from './doctor-steps.ts'

/** `skipped`: an earlier step stands in the way, or there is nothing to look at. */
export type StepOutcome = 'ok' | 'warn' | 'fail' | 'skipped'

/** What is worth knowing beside the sentence, for programs. */
export type StepFacts = Readonly<Record<string, string | number | boolean | null>>

/** One step as it went. */
export interface StepResult {
  readonly step: DoctorStepName
  /** Whom it was about: a host name, an origin, a DID, a handle. */
  readonly subject: string
  readonly outcome: StepOutcome
  /** Key of {@link PROBLEMS}; null when there is none. */
  readonly problem: ProblemCode | null
  /** What was seen, in one line. May hold text of strangers: clean it before it is shown. */
  readonly detail: string
  readonly facts: StepFacts
  readonly tookMs: number
}

/** What a check of one step says; `value` is what later steps need of it. */
export type Finding<T> =
  | {
      readonly problem: null
      readonly detail: string
      readonly facts: StepFacts
      readonly value: T
    }
  | {
      readonly problem: ProblemCode
      readonly detail: string
      readonly facts: StepFacts
      /** Null unless the chain can go on all the same. */
      readonly value: T | null
    }

export function good<T>(value: T, detail: string, facts: StepFacts = {}): Finding<T> {
  return { problem: null, detail, facts, value }
}

export function bad<T>(
  problem: ProblemCode,
  detail: string,
  facts: StepFacts = {},
  value: T | null = null,
): Finding<T> {
  return { problem, detail, facts, value }
}

/** Gathers steps in order and tells of each one as it ends. */
export class Checklist {
  readonly #clock: Clock
  readonly #onStart: (step: DoctorStepName, subject: string) => void
  readonly #onStep: (result: StepResult) => void
  readonly #results: StepResult[] = []

  constructor(
    clock: Clock,
    onStart: (step: DoctorStepName, subject: string) => void,
    onStep: (result: StepResult) => void,
  ) {
    this.#clock = clock
    this.#onStart = onStart
    this.#onStep = onStep
  }

  get results(): readonly StepResult[] {
    return this.#results
  }

  /** Runs a check; its value, or null when the chain cannot go on from it. */
  async check<T>(
    step: DoctorStepName,
    subject: string,
    run: () => Promise<Finding<T>>,
  ): Promise<T | null> {
    const startMs = this.#clock.monotonicMs()
    this.#onStart(step, subject)
    const { problem, detail, facts, value } = await run()
    const tookMs = Math.round(this.#clock.monotonicMs() - startMs)
    const outcome = problem === null ? 'ok' : PROBLEMS[problem].level
    this.#add({ step, subject, outcome, problem, detail, facts, tookMs })
    return value
  }

  skip(step: DoctorStepName, subject: string, detail: string): void {
    const rest = { problem: null, facts: {}, tookMs: 0 } as const
    this.#add({ step, subject, outcome: 'skipped', detail, ...rest })
  }

  #add(result: StepResult): void {
    this.#results.push(result)
    this.#onStep(result)
  }
}

/** The first step that failed: what is to be mended first; null when none did. */
export function firstFailure(results: readonly StepResult[]): StepResult | null {
  return results.find(({ outcome }) => outcome === 'fail') ?? null
}

/** Longest text of an error that a detail repeats. */
const DETAIL_CHARS_MAX = 300

/** The text of an error for a detail: without the fields that errors carry along. */
export function causeOf(thrown: unknown): string {
  const text = messageOf(thrown)
  const isOurs = thrown instanceof SkeinError && Object.keys(thrown.fields).length > 0
  const said = isOurs ? text.slice(0, text.lastIndexOf('; ')) : text
  const detail = isOurs ? thrown.fields['detail'] : undefined
  const more = typeof detail === 'string' && !said.includes(detail) ? `: ${detail}` : ''
  return `${said}${more}`.slice(0, DETAIL_CHARS_MAX)
}
