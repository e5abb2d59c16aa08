/** `skein blob`: blobs of accounts, checked against their CIDs. */

import type { Command } from 'commander'

import { addCommand, addGroup, type CliContext } from '../shared/command.ts'
import { SERVICE_OPTION } from '../shared/common-options.ts'

const SINCE = {
  since: {
    kind: 'string',
    placeholder: 'rev',
    default: 'none',
    group: 'Content',
    help: 'Only blobs of records that came after this rev.',
  },
} as const

export const BLOB_GET_OPTIONS: typeof SERVICE_OPTION = SERVICE_OPTION
export const BLOB_LS_OPTIONS: typeof SERVICE_OPTION & typeof SINCE = { ...SERVICE_OPTION, ...SINCE }
const BLOB_SYNC_ONLY = {
  parallel: {
    kind: 'integer',
    min: 1,
    max: 32,
    default: '4',
    group: 'Network',
    help: 'Blobs that are fetched at once.',
  },
} as const

export const BLOB_SYNC_OPTIONS: typeof BLOB_LS_OPTIONS & typeof BLOB_SYNC_ONLY = {
  ...BLOB_LS_OPTIONS,
  ...BLOB_SYNC_ONLY,
}

export function addBlobCommands(program: Command, context: CliContext): void {
  const blob = addGroup(program, 'blob', 'Fetch blobs, checked against their CIDs.')
  addCommand(blob, context, {
    name: 'get',
    words: '<account> <cid> [file]',
    description: 'Fetch one blob into a file, or to standard output.',
    options: BLOB_GET_OPTIONS,
    examples: [
      ['Into a file', 'skein blob get alice.example.com bafkrei... avatar.jpg'],
      ['To standard output', 'skein blob get alice.example.com bafkrei... - | file -'],
    ],
    load: async () => (await import('./blob-get.ts')).runBlobGet,
  })
  addCommand(blob, context, {
    name: 'ls',
    words: '<account>',
    description: "List the CIDs of an account's blobs.",
    options: BLOB_LS_OPTIONS,
    examples: [
      ['All of them', 'skein blob ls alice.example.com'],
      ['How many came lately', 'skein blob ls alice.example.com --since 3l4example2abc | wc -l'],
    ],
    load: async () => (await import('./blob-get.ts')).runBlobLs,
  })
  addCommand(blob, context, {
    name: 'sync',
    words: '<account> <folder>',
    description: "Fetch all of an account's blobs that the folder does not have yet.",
    options: BLOB_SYNC_OPTIONS,
    examples: [
      ['Into a folder; run it again for what is new', 'skein blob sync alice.example.com blobs'],
      ['Gently', 'skein blob sync alice.example.com blobs --parallel 1'],
    ],
    notes: `Each blob is a file named by its CID. Those that failed stand in errors.ndjson with the
reason, and stop nothing else; the next run tries them again.`,
    load: async () => (await import('./blob-sync.ts')).runBlobSync,
  })
}
