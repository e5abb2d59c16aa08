/** The command line of the harness. */

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
}

export const USAGE: string = `Runs the relay between two real PDSes and compares every event.

  npm run interop -- [options]

  --only legacy|multikey  one format of DID documents instead of both
  --verbose               show what the relay prints, and every event on its own line
  --keep                  leave the run's directory, and say where it is
  --sequences N           random sequences of writes (10000)
  --relay FILE            another relay's entry point, which takes the same options
  --help                  this text
`

/** Null when the usage was asked for. Throws an error with a message for people. */
export function parseOptions(args: readonly string[]): Options | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string' },
      verbose: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      sequences: { type: 'string', default: '10000' },
      relay: { type: 'string', default: SKEIN_ENTRY },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return null
  const { only } = values
  if (only !== undefined && only !== 'legacy' && only !== 'multikey') {
    throw new Error(`--only takes legacy or multikey, not ${only}`)
  }
  const sequences = Number(values.sequences)
  if (!Number.isSafeInteger(sequences) || sequences < 1) {
    throw new Error(`--sequences takes a number of 1 or more, not ${values.sequences}`)
  }
  return {
    formats: only === undefined ? ['legacy', 'multikey'] : [only],
    files: values.keep ? 'keep' : 'remove',
    output: values.verbose ? 'verbose' : 'quiet',
    entry: values.relay,
    sequences,
  }
}
