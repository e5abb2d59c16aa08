/** Outcomes as values: for input that may be wrong without anybody here being at fault. */

/** Success with a value, or a failure with a stable reason and a detail for people. */
export type Result<T, R extends string = string> =
  | { readonly ok: true; readonly value: T }
  | Failure<R>

export interface Failure<R extends string = string> {
  readonly ok: false
  readonly reason: R
  /** What exactly was wrong, for logs and the operator: short, bounded, may quote identifiers. */
  readonly detail: string
}

export function ok<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value }
}

export function fail<R extends string>(reason: R, detail: string): Failure<R> {
  return { ok: false, reason, detail }
}
