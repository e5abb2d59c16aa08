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
}

export const USAGE: string = `Runs the relay between two real PDSes and compares every event.

  npm run interop -- [options]

  --only legacy|multikey  one format of DID documents instead of both
  --verbose               show what the relay prints, and every event on its own line
  --keep                  leave the run's directory, and say where it is
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
      relay: { type: 'string', default: SKEIN_ENTRY },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return null
  const { only } = values
  if (only !== undefined && only !== 'legacy' && only !== 'multikey') {
    throw new Error(`--only takes legacy or multikey, not ${only}`)
  }
  return {
    formats: only === undefined ? ['legacy', 'multikey'] : [only],
    files: values.keep ? 'keep' : 'remove',
    output: values.verbose ? 'verbose' : 'quiet',
    entry: values.relay,
  }
}
