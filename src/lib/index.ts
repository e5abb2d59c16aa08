/**
 * What every other folder stands on. Nothing here knows the AT Protocol but for its limits and the
 * reasons to refuse what breaks them.
 *
 * - `assert.ts`, `errors.ts`, `result.ts`: the three lanes: our mistake, the caller's or the
 *   environment's, and input
 * - `reasons.ts`, `limits.ts`: why input is refused, and what bounds it
 * - `bytes.ts`: byte strings
 * - `clock.ts`, `random.ts`: time and chance as arguments; `deadline.ts`: a time limit as a signal
 * - `crash-point.ts`: places at which a test ends its process
 * - `entry-cache.ts`: a cache of bounded size that grows as it fills; `slab.ts`: memory for many
 *   small things
 *
 * Owns nothing. It does no I/O, reads no environment and imports nothing from `node:`.
 *
 * @module
 */
export { assert, AssertionError, must, unreachable } from './assert.ts'
export {
  bytesEqual,
  compareBytes,
  concatBytes,
  fromHex,
  fromUtf8,
  startsWith,
  toHex,
  utf8,
} from './bytes.ts'
export { type Clock, sleep, stayAwake, systemClock, type Timer } from './clock.ts'
export { armCrashPoint, CRASH_POINTS, crashPoint, type CrashPoint } from './crash-point.ts'
export { createDeadline, type Deadline } from './deadline.ts'
export { createEntryCache } from './entry-cache.ts'
export {
  codeOf,
  ERROR_CODES,
  type ErrorCode,
  type ErrorFields,
  messageOf,
  SkeinError,
} from './errors.ts'
export * from './limits.ts'
export { type Random, seededRandom, systemRandom } from './random.ts'
export {
  type DiscontinuousReason,
  type InvalidReason,
  type PolicyReason,
  type Reason,
  type ReasonEntry,
  type ReasonKind,
  REASONS,
  type StaleReason,
  type UnverifiableReason,
} from './reasons.ts'
export { type Failure, fail, ok, type Result } from './result.ts'
export { Slab } from './slab.ts'
