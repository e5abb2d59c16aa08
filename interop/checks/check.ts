/** One thing that was looked at besides the events, and what came of it. */

export interface Check {
  readonly name: string
  readonly ok: boolean
  /** What was found, when it was not as it should be. */
  readonly detail: string
}

/** A check from the list of what is wrong: none is good. */
export function checkOf(name: string, faults: readonly string[]): Check {
  return { name, ok: faults.length === 0, detail: faults.join('; ') }
}

/** Runs a check whose own failure to run is a fault. */
export async function runCheck(name: string, look: () => Promise<string[]>): Promise<Check> {
  try {
    return checkOf(name, await look())
  } catch (error) {
    return checkOf(name, [error instanceof Error ? error.message : String(error)])
  }
}
