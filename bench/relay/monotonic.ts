/** The clock that all processes of a machine share. */

/** CLOCK_MONOTONIC, microseconds. */
export function monotonicUs(): number {
  return Number(process.hrtime.bigint()) / 1_000
}
