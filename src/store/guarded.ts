/** Failures of the database (a full or failing disk, a broken rule) as errors with a code. */
import { messageOf, SkeinError } from '../lib/errors.ts'

/**
 * Runs `work`, whose effects on the database are all or nothing.
 *
 * @throws SkeinError STORE_FAILED in place of what the driver throws.
 */
export function guarded<T>(action: string, work: () => T): T {
  try {
    return work()
  } catch (cause) {
    throw new SkeinError('STORE_FAILED', `${action}: ${messageOf(cause)}`, {}, cause)
  }
}
