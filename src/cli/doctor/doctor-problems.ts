/**
 * What `skein doctor` can find: what each finding means and what to do about it. docs/doctor.md
 * shows the same.
 */
import {
  ACCOUNT_PROBLEMS,
  type AccountProblemCode,
  RELAY_PROBLEMS,
  type RelayProblemCode,
} from './doctor-account-problems.ts'
import {
  HOST_PROBLEMS,
  type HostProblemCode,
  STREAM_PROBLEMS,
  type StreamProblemCode,
} from './doctor-host-problems.ts'
import type { Problem } from './doctor-steps.ts'

export type ProblemCode =
  | AccountProblemCode
  | HostProblemCode
  | StreamProblemCode
  | RelayProblemCode

/** Every finding by its stable code. */
export const PROBLEMS: Readonly<Record<ProblemCode, Problem>> = {
  ...ACCOUNT_PROBLEMS,
  ...HOST_PROBLEMS,
  ...STREAM_PROBLEMS,
  ...RELAY_PROBLEMS,
}
