/** `skein record`: single records with their proof. */

import type { Command } from 'commander'

import { addCommand, addGroup, type CliContext } from '../shared/command.ts'
import { SERVICE_OPTION } from '../shared/common-options.ts'

const RECORD_GET_ONLY = {
  prove: {
    kind: 'boolean',
    default: 'false',
    group: 'Output',
    help: 'Show the facts of the proof beside the record. It is checked in any case.',
  },
  car: {
    kind: 'string',
    placeholder: 'file',
    default: 'none',
    group: 'Output',
    help: 'Keep the proof as a CAR file.',
  },
} as const

export const RECORD_GET_OPTIONS: typeof SERVICE_OPTION & typeof RECORD_GET_ONLY = {
  ...SERVICE_OPTION,
  ...RECORD_GET_ONLY,
}

export function addRecordCommands(program: Command, context: CliContext): void {
  const record = addGroup(program, 'record', 'Fetch single records with their proof.')
  addCommand(record, context, {
    name: 'get',
    words: '<account> [collection] [rkey]',
    description: 'Print a record whose proof holds, or say that it is proven not to be there.',
    options: RECORD_GET_OPTIONS,
    examples: [
      ['By AT URI', 'skein record get at://alice.example.com/app.bsky.actor.profile/self'],
      [
        'With what proves it',
        'skein record get alice.example.com app.bsky.actor.profile self --prove --car proof.car',
      ],
    ],
    notes: 'A record that is not there is exit code 3, proven or only said; a false proof is 4.',
    load: async () => (await import('./record-get.ts')).runRecordGet,
  })
}
