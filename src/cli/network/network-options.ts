/** The options of the commands about hosts, accounts and relays. */

import { NOT_GIVEN } from '../shared/common-options.ts'

/** Which relays are asked. */
export const RELAYS_OPTION = {
  relays: {
    flag: 'relay',
    kind: 'list',
    item: 'host',
    default: 'relay1.us-east.bsky.network',
    group: 'Network',
    help: 'Relay to ask. Give it several times for several; none for none.',
  },
} as const

/** How much of a listing is read. */
export const LIMIT_OPTION = {
  limit: {
    kind: 'integer',
    min: 0,
    max: 1_000_000_000,
    default: '1000',
    group: 'Selection',
    help: 'Entries that are read at most; 0 for all.',
  },
} as const

/** Options of `skein host repos`, with the limit. */
export const HOST_REPOS_OPTIONS = {
  status: {
    kind: 'string',
    placeholder: 'status',
    default: 'none',
    group: 'Selection',
    help: 'Only those of this status: active, inactive, deactivated, takendown and so on.',
  },
  summary: {
    kind: 'boolean',
    default: 'false',
    group: 'Output',
    help: 'Only the counts; reads all entries unless --limit is given too.',
  },
} as const

/** Options of `skein doctor`, with relays. */
export const DOCTOR_OPTIONS = {
  quietAfter: {
    kind: 'duration',
    min: '100ms',
    max: '10m',
    default: '3s',
    group: 'Network',
    help: 'How long a stream may be silent before it counts as quiet.',
  },
} as const

/** Options of `skein tail`, with relays. */
export const TAIL_OPTIONS = {
  did: {
    kind: 'string',
    placeholder: 'did,...',
    default: 'none',
    group: 'Selection',
    help: 'Only these accounts, by DID or handle, with commas between them.',
  },
  collection: {
    kind: 'string',
    placeholder: 'nsid,...',
    default: 'none',
    group: 'Selection',
    help: 'Only commits that touch these collections; app.bsky.* stands for all that begin so.',
  },
  type: {
    kind: 'string',
    placeholder: 'type,...',
    default: 'none',
    group: 'Selection',
    help: 'Only these: commit, sync, identity, account, info, other.',
  },
  cursor: {
    kind: 'string',
    placeholder: 'place',
    default: 'live',
    group: 'Selection',
    help: 'Where to begin: live, oldest, a seq, or a file that keeps the place.',
  },
  count: {
    kind: 'integer',
    min: 0,
    max: 1_000_000_000_000,
    default: '0',
    group: 'Selection',
    help: 'Stop after so many events; 0 for no end.',
  },
  duration: {
    kind: 'duration',
    min: '0',
    max: '3650d',
    default: '0',
    group: 'Selection',
    help: 'Stop after this time; 0 for no end.',
  },
  verify: {
    kind: 'boolean',
    default: 'false',
    group: 'Verification',
    help: 'Verify every event as Sync 1.1 has it; refetch repositories that have gaps.',
  },
  records: {
    kind: 'boolean',
    default: 'false',
    group: 'Output',
    help: 'Show the records of operations too; --json has them in any case.',
  },
} as const

/** Options of `skein compare`. */
export const COMPARE_OPTIONS = {
  limit: {
    kind: 'integer',
    min: 0,
    max: 10_000_000,
    default: '2000',
    group: 'Selection',
    help: 'Accounts that are compared at most, from the beginning of the first list; 0 for none.',
  },
  duration: {
    kind: 'duration',
    min: '0',
    max: '30d',
    default: '60s',
    group: 'Selection',
    help: 'How long live events are compared; 0 for not at all.',
  },
  settle: {
    kind: 'duration',
    min: '0',
    max: '10m',
    default: '5s',
    group: 'Selection',
    help: 'How far apart the relays may be: an event counts as missing only after this time.',
  },
} as const

/** The relays of an option; none when it says so. */
export function relaysOf(relays: readonly string[]): readonly string[] {
  return relays.filter((relay) => relay !== NOT_GIVEN)
}
