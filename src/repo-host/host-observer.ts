/** Tells whoever keeps count what calls to a host came to. */
import type { Result } from '../lib/result.ts'
import type { Collected } from './garbage.ts'

/** What counts. Nothing of it may throw; each is called once the caller's answer stands. */
export interface HostObserver {
  /**
   * A call has ended.
   *
   * @param outcome `committed` or `unchanged` of writes, `imported`, `stored`; the refusal;
   *   `failed` when it was rejected.
   * @param bytes Of a blob that was stored; else 0.
   */
  readonly onCall?: (call: HostCall, outcome: string, bytes: number) => void
  /** A collection has ended that removed something. */
  readonly onCollected?: (collected: Collected) => void
}

/** Calls that are counted. */
export type HostCall = 'write' | 'import' | 'upload'

/** How busy a host is at the moment. */
export interface HostLoad {
  /** Exports that are being read. */
  readonly exports: number
  /** Calls waiting to be written. */
  readonly waitingCalls: number
}

/** What a good answer is called, and how many bytes came with it. */
export interface Named {
  readonly outcome: string
  readonly bytes?: number
}

/** Passes on what `answer` comes to, and tells the observer. */
export async function observed<T, R extends string>(
  observer: HostObserver,
  call: HostCall,
  answer: Promise<Result<T, R>>,
  name: (value: T) => Named,
): Promise<Result<T, R>> {
  if (observer.onCall === undefined) return answer
  try {
    const result = await answer
    const { outcome, bytes = 0 }: Named = result.ok
      ? name(result.value)
      : { outcome: result.reason }
    observer.onCall(call, outcome, bytes)
    return result
  } catch (error) {
    observer.onCall(call, 'failed', 0)
    throw error
  }
}
