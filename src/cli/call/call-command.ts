/** `skein call`: any call of com.atproto.sync. */

import type { Command } from 'commander'

import { addCommand, type CliContext } from '../shared/command.ts'

export const CALL_OPTIONS = {
  service: {
    kind: 'string',
    placeholder: 'host',
    default: 'none',
    group: 'Network',
    help: "Whom to call: default the account's host for calls with a did, else a public relay.",
  },
  out: {
    kind: 'string',
    placeholder: 'file',
    default: 'none',
    group: 'Output',
    help: 'Where bytes go: a file, or - for standard output.',
  },
  all: {
    kind: 'boolean',
    default: 'false',
    group: 'Output',
    help: 'Of a listing all pages, one entry a line.',
  },
  count: {
    kind: 'integer',
    min: 0,
    max: 1_000_000_000,
    default: '0',
    group: 'Output',
    help: 'End a listing with --all, or a stream, after so many; 0 for no end.',
  },
} as const

export function addCallCommand(program: Command, context: CliContext): void {
  addCommand(program, context, {
    name: 'call',
    words: '<nsid> [key=value...]',
    description: 'Make any call of com.atproto.sync; com.atproto.sync. may be left out.',
    options: CALL_OPTIONS,
    examples: [
      ['A query', 'skein call com.atproto.sync.getLatestCommit did=did:web:alice.example.com'],
      ['A listing, all of it', 'skein call listHosts limit=1000 --all --service relay.example'],
      ['Bytes', 'skein call getRepo did=did:web:alice.example.com --out repo.car'],
      ['A procedure', 'skein call requestCrawl hostname=pds.example.com --service relay.example'],
    ],
    notes:
      'Answers are checked against the lexicon and CIDs of blobs are; nothing else is verified.',
    load: async () => (await import('./call.ts')).runCall,
  })
}
