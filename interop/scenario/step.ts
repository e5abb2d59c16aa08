/** The shape of a step: something done to the network, whose events are then compared. */

import type { PdsName } from '../world/pds.ts'
import type { EventType } from '../streams/frame.ts'
import type { Scene } from './scene.ts'

/** An event of a step that a strict relay must not pass on. */
export interface Refusal {
  readonly pds: PdsName
  readonly type: EventType
  /** Why, for the report. */
  readonly reason: string
}

export interface Step {
  /** Shown in the table; unique within the scenario. */
  readonly name: string
  run(scene: Scene): Promise<void>
  /**
   * How many events the PDSes are known to send for it, where the number is the point of the step.
   * Another number fails the run: the scenario would not test what it says.
   */
  readonly eventCount?: number
  /** Every entry must be met by exactly one event of the step. All other events are delivered. */
  readonly refusals?: readonly Refusal[]
}
