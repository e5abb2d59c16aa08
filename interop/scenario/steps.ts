/** The scenario in its order. */

import { accountSteps, creationSteps, endingSteps } from './account-steps.ts'
import { blobSteps } from './blob-steps.ts'
import { hostMoveSteps } from './host-move-steps.ts'
import { hostEndingSteps, hostSteps } from './host-steps.ts'
import { burstStep } from './load-steps.ts'
import { migrationSteps } from './migration-steps.ts'
import { recordSteps } from './record-steps.ts'
import type { Step } from './step.ts'

/** Everything that is done while the relay stays up. */
export const scenario: readonly Step[] = [
  ...creationSteps,
  ...recordSteps,
  ...accountSteps,
  ...migrationSteps,
  ...hostSteps,
  ...blobSteps,
  ...hostMoveSteps,
  burstStep,
  ...endingSteps,
  ...hostEndingSteps,
]
