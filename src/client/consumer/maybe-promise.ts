/** Values that are there at once, or later. */

export type MaybePromise<T> = T | Promise<T>

/** Whether a value has to be waited for; any thenable counts, whichever realm made it. */
export function isPromise<T>(value: MaybePromise<T>): value is Promise<T> {
  return (
    typeof value === 'object' &&
    value !== null &&
    'then' in value &&
    typeof value.then === 'function'
  )
}

/** `next` of the value, without a promise when it is there at once. */
export function andThen<T, U>(
  value: MaybePromise<T>,
  next: (value: T) => MaybePromise<U>,
): MaybePromise<U> {
  // oxlint-disable-next-line promise/no-callback-in-promise -- a step of the same work, no callback
  return isPromise(value) ? Promise.resolve(value).then(next) : next(value)
}
