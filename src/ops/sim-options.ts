/** The options of `skein sim` and `skein demo`: tables and parsed types. */

import { SkeinError } from '../lib/errors.ts'
import { parseOptions, type OptionSources } from './options.ts'
import type { OptionValues } from './option-table.ts'

/** Options that decide what a simulated network is. */
const WORLD_OPTIONS = {
  seed: {
    kind: 'integer',
    min: 0,
    max: 4_294_967_295,
    default: '1',
    group: 'Network',
    help: 'What accounts, keys, records and the order of events follow from.',
  },
  hosts: {
    kind: 'integer',
    min: 1,
    max: 250,
    default: '3',
    group: 'Network',
    help: 'Number of hosts.',
  },
  accounts: {
    kind: 'integer',
    min: 4,
    max: 1_000_000,
    default: '100',
    group: 'Network',
    help: 'Number of accounts at the start.',
  },
  records: {
    kind: 'integer',
    min: 4,
    max: 100_000,
    default: '3000',
    group: 'Network',
    help: 'Median number of records that an account has from the start.',
    why: 'With some thousand records a frame has 5.4 KB and 10 blocks on average, as in the wild.',
  },
  changes: {
    kind: 'integer',
    min: 0,
    max: 1_000,
    default: '5',
    group: 'Traffic',
    help: 'Changes of accounts for every 1,000 events: new ones, other keys, hosts, statuses.',
  },
  debug: {
    kind: 'boolean',
    default: 'false',
    group: 'Running',
    help: 'Show the stack of an error that ends the process.',
  },
} as const

const SIM_ONLY = {
  rate: {
    kind: 'integer',
    min: 1,
    max: 1_000_000,
    default: '20',
    group: 'Traffic',
    help: 'Events a second on average, over all hosts; gaps are exponential.',
  },
  lies: {
    kind: 'integer',
    min: 0,
    max: 1_000,
    default: '0',
    group: 'Traffic',
    help: 'Lies for every 1,000 events: bad signatures, forged operations, broken trees and more.',
  },
  faults: {
    kind: 'integer',
    min: 0,
    max: 1_000,
    default: '0',
    group: 'Traffic',
    help: 'Faults for every 1,000 events: disconnects, garbage, errors of the directory and more.',
  },
  pace: {
    kind: 'choice',
    values: ['clock', 'free'],
    default: 'clock',
    group: 'Traffic',
    help: 'Send events when they are due, or as fast as the machine signs and subscribers read.',
  },
  events: {
    kind: 'integer',
    min: 0,
    max: 1_000_000_000,
    default: '0',
    group: 'Traffic',
    help: 'Stop sending after so many events; 0 for no end. With --record: how many to sign.',
  },
  start: {
    kind: 'string',
    placeholder: 'time',
    default: 'now',
    group: 'Network',
    help: 'Where the time of the network begins: now, or like 2026-01-01T00:00:00Z.',
    why: 'Times and revs are part of the bytes; with a fixed start these follow from the seed.',
  },
  port: {
    kind: 'integer',
    min: 0,
    max: 65_000,
    default: '2582',
    group: 'Listening',
    help: 'Port of the PLC directory on 127.0.0.1; hosts take those after it. 0 for any.',
  },
  record: {
    kind: 'string',
    placeholder: 'path',
    default: 'off',
    group: 'Files',
    help: 'Sign traffic into this file and end, instead of serving it.',
  },
  replay: {
    kind: 'string',
    placeholder: 'path',
    default: 'off',
    group: 'Files',
    help: 'Serve the traffic of this file, made with --record, at --rate or with --pace free.',
  },
} as const

/** Every option of `skein sim`. */
export const SIM_OPTIONS: typeof WORLD_OPTIONS & typeof SIM_ONLY = { ...WORLD_OPTIONS, ...SIM_ONLY }

/** The demo's network is wilder. */
const DEMO_ONLY = {
  rate: {
    kind: 'integer',
    min: 1,
    max: 1_000_000,
    default: '50',
    group: 'Traffic',
    help: 'Events a second on average, over all hosts; gaps are exponential.',
  },
  lies: {
    kind: 'integer',
    min: 0,
    max: 1_000,
    default: '50',
    group: 'Traffic',
    help: 'Lies for every 1,000 events: bad signatures, forged operations, broken trees and more.',
  },
  faults: {
    kind: 'integer',
    min: 0,
    max: 1_000,
    default: '1',
    group: 'Traffic',
    help: 'Faults for every 1,000 events: disconnects, garbage, errors of the directory and more.',
  },
  bind: {
    kind: 'address',
    off: false,
    default: '127.0.0.1:2470',
    group: 'Running',
    help: 'Address of the relay; another port is taken when this one is in use.',
  },
  duration: {
    kind: 'duration',
    min: '0',
    max: '3650d',
    default: '0',
    group: 'Running',
    help: 'Stop after this time; 0 for not before Ctrl-C.',
  },
} as const

/** Every option of `skein demo`. */
export const DEMO_OPTIONS: typeof WORLD_OPTIONS & typeof DEMO_ONLY = {
  ...WORLD_OPTIONS,
  ...DEMO_ONLY,
}

type SimOptionValues = OptionValues<typeof SIM_OPTIONS>
type DemoOptionValues = OptionValues<typeof DEMO_OPTIONS>

/** Parsed options of `skein sim`. */
export interface SimOptions extends SimOptionValues {
  /** Where the time of the network begins, ms since the epoch; null for now. */
  readonly startMs: number | null
}

/** Parsed options of `skein demo`; the duration in milliseconds. */
export interface DemoOptions extends DemoOptionValues {}

/** What turns an option about files off. */
const OFF = 'off'

/** Parses the options of `skein sim`. Throws SkeinError `OPTION_INVALID` or `OPTION_UNKNOWN`. */
export function parseSimOptions(sources: OptionSources = {}): SimOptions {
  const options = parseOptions(SIM_OPTIONS, sources)
  if (options.record !== OFF && options.replay !== OFF) {
    throw new SkeinError('OPTION_INVALID', 'options: --record and --replay exclude each other')
  }
  const startMs = options.start === 'now' ? null : Date.parse(options.start)
  if (Number.isNaN(startMs)) {
    const fields = { value: options.start.slice(0, 80) }
    throw new SkeinError('OPTION_INVALID', 'options: --start is not a time', fields)
  }
  return { ...options, startMs }
}

/** The path of an option about files; null when it is off. */
export function pathOf(option: string): string | null {
  return option === OFF ? null : option
}

/** Parses the options of `skein demo`. Throws SkeinError `OPTION_INVALID` or `OPTION_UNKNOWN`. */
export function parseDemoOptions(sources: OptionSources = {}): DemoOptions {
  return parseOptions(DEMO_OPTIONS, sources)
}
