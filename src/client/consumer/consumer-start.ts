/** Where a consumer begins: from what was stored, or as the options say. */
import { SkeinError } from '../../lib/errors.ts'
import type { ConsumerStore, StoredCursor } from '../../store/consumer-state.ts'
import type { ConsumerOptions } from './consumer-types.ts'
import { parseService } from '../calls/service.ts'
import type { SourcePolicies } from '../source/source-types.ts'

export interface ConsumerStart {
  /** The newest first. */
  readonly cursors: readonly StoredCursor[]
  readonly policy: SourcePolicies['start']
  /**
   * Seqs up to which the application has finished by its own account, by service, where the state
   * that is kept here is behind: those events are taken in without being delivered again.
   */
  readonly deliveredUpTo: ReadonlyMap<string, number>
}

/**
 * Origins of the services.
 *
 * @throws SkeinError OPTION_INVALID when there are none, or both kinds are given.
 */
export function originsOf({ service, services }: ConsumerOptions): readonly string[] {
  if ((service === undefined) === (services === undefined)) {
    throw new SkeinError('OPTION_INVALID', 'consumer: give service or services')
  }
  const texts = services ?? (service === undefined ? [] : [service])
  return texts.map((text) => parseService(text).origin)
}

/** Reads what was stored. What belongs to none of the services is left alone. */
export async function chooseStart(
  options: ConsumerOptions,
  origins: readonly string[],
  store: ConsumerStore,
): Promise<ConsumerStart> {
  const known = await store.cursors()
  const { cursorStore } = options
  const given = cursorStore === undefined ? known : listOf(await cursorStore.load())
  const ours = given
    .map(({ service, seq, timeMs }) => ({ service: parseService(service).origin, seq, timeMs }))
    .filter(({ service }) => origins.includes(service))
  const policy = policyOf(options.cursor, origins)
  const deliveredUpTo = new Map<string, number>()
  const cursors = ours.map((cursor) => {
    const { service, seq } = checked(cursor)
    const behind = known.find((other) => other.service === service)
    if (behind === undefined || behind.seq >= seq) return cursor
    deliveredUpTo.set(service, seq)
    return behind
  })
  return { cursors, policy, deliveredUpTo }
}

function listOf(loaded: StoredCursor | readonly StoredCursor[] | null): readonly StoredCursor[] {
  if (loaded === null) return []
  return 'service' in loaded ? [loaded] : loaded
}

function checked(cursor: StoredCursor): StoredCursor {
  if (Number.isSafeInteger(cursor.seq) && cursor.seq >= 0) return cursor
  throw new SkeinError('OPTION_INVALID', `consumer: the stored seq is ${cursor.seq}`)
}

function policyOf(
  cursor: ConsumerOptions['cursor'],
  origins: readonly string[],
): SourcePolicies['start'] {
  if (cursor === undefined || cursor === 'live' || cursor === 'oldest') return cursor ?? 'live'
  if (typeof cursor === 'number') return { service: origins[0] ?? '', seq: checkedSeq(cursor) }
  const { origin } = parseService(cursor.service)
  if (origins.includes(origin)) return { service: origin, seq: checkedSeq(cursor.seq) }
  throw new SkeinError('OPTION_INVALID', 'consumer: the cursor is of none of the services')
}

function checkedSeq(seq: number): number {
  if (Number.isSafeInteger(seq) && seq >= 0) return seq
  throw new SkeinError('OPTION_INVALID', `consumer: cursor ${seq} is no seq`)
}
