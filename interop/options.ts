/** The command line of the harness. */

import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'

import { SKEIN_ENTRY } from './relay/relay-command.ts'
import type { DocumentFormat } from './world/plc.ts'

export interface Options {
  readonly formats: readonly DocumentFormat[]
  /** What becomes of the files of the run. */
  readonly files: 'remove' | 'keep'
  /** Whether the relay's own output is shown, and every event has a line of its own. */
  readonly output: 'quiet' | 'verbose'
  readonly entry: string
  /** How many random sequences of writes are compared with `@atproto/repo`. */
  readonly sequences: number
  /** They follow from it; 32 bits. */
  readonly seed: number
}

export const USAGE: string = `Runs relay, host and client among real PDSes and compares every event.

  npm run interop -- [options]

  --only legacy|multikey  one format of DID documents instead of both
  --verbose               show what the relay prints, and every event on its own line
  --keep                  leave the run's directory, and say where it is
  --sequences N           random sequences of writes (10000)
  --seed N                what they follow from; printed with the result (random)
  --relay FILE            another relay's entry point, which takes the same options
  --help                  this text
`

/** The largest number that an option takes: a seed has 32 bits, one of them for the sign. */
const SEED_MAX = 2 ** 31 - 1

/** Null when the usage was asked for. Throws an error with a message for people. */
export function parseOptions(args: readonly string[]): Options | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string' },
      verbose: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      sequences: { type: 'string', default: '10000' },
      seed: { type: 'string', default: String(randomInt(SEED_MAX)) },
      relay: { type: 'string', default: SKEIN_ENTRY },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return null
  const { only } = values
  if (only !== undefined && only !== 'legacy' && only !== 'multikey') {
    throw new Error(`--only takes legacy or multikey, not ${only}`)
  }
  const sequences = numberOf('sequences', values.sequences, 1)
  const seed = numberOf('seed', values.seed, 0)
  return {
    formats: only === undefined ? ['legacy', 'multikey'] : [only],
    files: values.keep ? 'keep' : 'remove',
    output: values.verbose ? 'verbose' : 'quiet',
    entry: values.relay,
    sequences,
    seed,
  }
}

function numberOf(name: string, text: string, min: number): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= min && value <= SEED_MAX) return value
  throw new Error(`--${name} takes a number of ${min} or more, not ${text}`)
}
