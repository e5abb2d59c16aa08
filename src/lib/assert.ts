/**
 * Assertions for programmer mistakes. They stay on in production and are never used on input: what
 * comes from outside is parsed into a result or a verdict instead.
 */

/** Thrown when the program contradicts itself. Nothing should catch it but the process boundary. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError'
}

/** Throws {@link AssertionError} unless `condition` holds. The message is built only on failure. */
export function assert(condition: unknown, message: string | (() => string)): asserts condition {
  if (!condition) throw new AssertionError(typeof message === 'string' ? message : message())
}

/** Returns `value`, which the caller knows to be present; asserts that it is. */
export function must<T>(value: T | null | undefined, what: string): T {
  if (value === null || value === undefined) throw new AssertionError(`missing: ${what}`)
  return value
}

/** Marks a branch that the type system has proven unreachable. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${String(value)}`)
}
