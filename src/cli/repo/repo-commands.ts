/** `skein repo`: whole repositories, from their hosts or from CAR files. */

import type { Command } from 'commander'

import { addCommand, addGroup, type CliContext } from '../shared/command.ts'
import { SERVICE_OPTION } from '../shared/common-options.ts'

/** Of commands that read CAR files too. */
export const TRUST_OPTIONS = {
  did: {
    kind: 'string',
    placeholder: 'did',
    default: 'none',
    group: 'Trust',
    help: 'Whose repository a CAR file must be; else whoever signed it.',
  },
  key: {
    kind: 'string',
    placeholder: 'did:key',
    default: 'none',
    group: 'Trust',
    help: 'Check signatures with this key, and ask no directory: works offline.',
  },
  skipSignature: {
    kind: 'boolean',
    default: 'false',
    group: 'Trust',
    help: 'Do not check the signature: for old exports whose key nobody knows.',
  },
} as const

export const READ_OPTIONS: typeof SERVICE_OPTION & typeof TRUST_OPTIONS = {
  ...SERVICE_OPTION,
  ...TRUST_OPTIONS,
}

const GET_ONLY = {
  since: {
    kind: 'string',
    placeholder: 'rev',
    default: 'none',
    group: 'Content',
    help: 'Only what has changed after this rev. Such a CAR proves less: see docs/cli.md.',
  },
} as const

export const GET_OPTIONS: typeof SERVICE_OPTION & typeof GET_ONLY = {
  ...SERVICE_OPTION,
  ...GET_ONLY,
}

const VERIFY_ONLY = {
  findingsMax: {
    kind: 'integer',
    min: 1,
    max: 100_000,
    default: '100',
    group: 'Output',
    help: 'Findings that are listed; all are counted.',
  },
} as const

export const VERIFY_OPTIONS: typeof READ_OPTIONS & typeof VERIFY_ONLY = {
  ...READ_OPTIONS,
  ...VERIFY_ONLY,
}

const EXPORT_ONLY = {
  format: {
    kind: 'choice',
    values: ['json', 'ndjson'],
    default: 'json',
    group: 'Content',
    help: 'One JSON file a record, or one file of JSON lines a collection.',
  },
  blobs: {
    kind: 'boolean',
    default: 'true',
    group: 'Content',
    help: 'Leave the blobs out.',
  },
  parallel: {
    kind: 'integer',
    min: 1,
    max: 32,
    default: '4',
    group: 'Network',
    help: 'Blobs that are fetched at once.',
  },
} as const

export const EXPORT_OPTIONS: typeof READ_OPTIONS & typeof EXPORT_ONLY = {
  ...READ_OPTIONS,
  ...EXPORT_ONLY,
}

const TARGETS = `A target is a DID, a handle, an at:// URI, the URL of a call or of a profile page, or
a CAR file. What is read is verified: commit signature, every node, every record.`

export function addRepoCommands(program: Command, context: CliContext): void {
  const repo = addGroup(program, 'repo', 'Fetch, list, verify, compare and export repositories.')
  addReading(repo, context)
  addJudging(repo, context)
  addCommand(repo, context, {
    name: 'export',
    words: '<target> <folder>',
    description: 'Write a repository as JSON, with its blobs and a manifest, into a folder.',
    options: EXPORT_OPTIONS,
    examples: [
      [
        'Records and blobs; run it again to bring it up to date',
        'skein repo export alice.example.com backup',
      ],
      [
        'One file a collection, no blobs',
        'skein repo export repo.car out --format ndjson --no-blobs',
      ],
    ],
    notes: `${TARGETS}\nAn export that was interrupted goes on when it is run again.`,
    load: async () => (await import('./repo-export.ts')).runRepoExport,
  })
}

function addReading(repo: Command, context: CliContext): void {
  addCommand(repo, context, {
    name: 'get',
    words: '<target> [file]',
    description: 'Fetch a repository as a CAR file, verified while it comes.',
    options: GET_OPTIONS,
    examples: [
      ['Into alice.example.com.car', 'skein repo get alice.example.com'],
      ['To standard output', 'skein repo get did:web:alice.example.com - | wc -c'],
    ],
    notes: `${TARGETS}\nThe file appears when it is whole; until then it is <file>.part.`,
    load: async () => (await import('./repo-get.ts')).runRepoGet,
  })
  addCommand(repo, context, {
    name: 'ls',
    words: '<target> [collection]',
    description: 'List the collections of a repository, or the records of one.',
    options: READ_OPTIONS,
    examples: [
      ['Collections with their sizes', 'skein repo ls alice.example.com'],
      ['Records of one', 'skein repo ls alice.example.com app.bsky.feed.like'],
      ['Records of all that begin so, from a file', "skein repo ls repo.car 'app.bsky.*'"],
    ],
    notes: TARGETS,
    load: async () => (await import('./repo-ls.ts')).runRepoLs,
  })
  addCommand(repo, context, {
    name: 'cat',
    words: '<target> [path]',
    description: 'Print a record as JSON, proven.',
    options: READ_OPTIONS,
    examples: [
      ['By AT URI', 'skein repo cat at://alice.example.com/app.bsky.actor.profile/self'],
      ['From a file', 'skein repo cat repo.car app.bsky.actor.profile/self'],
    ],
    notes: TARGETS,
    load: async () => (await import('./repo-cat.ts')).runRepoCat,
  })
}

function addJudging(repo: Command, context: CliContext): void {
  addCommand(repo, context, {
    name: 'verify',
    words: '<target>',
    description: 'Verify a whole repository and tell every rule that it breaks, and where.',
    options: VERIFY_OPTIONS,
    examples: [
      ['An account at its host', 'skein repo verify alice.example.com'],
      [
        'A file, offline',
        'skein repo verify repo.car --did did:web:alice.example.com --key did:key:zDn...',
      ],
    ],
    notes: `${TARGETS}\nExit code 4 when a rule is broken.`,
    load: async () => (await import('./repo-verify.ts')).runRepoVerify,
  })
  addCommand(repo, context, {
    name: 'diff',
    words: '<before> <after>',
    description: 'Compare two repositories: what was created, updated and deleted.',
    options: READ_OPTIONS,
    examples: [
      ['A backup with what the host has now', 'skein repo diff repo.car alice.example.com'],
      ['Two files', 'skein repo diff monday.car tuesday.car --skip-signature'],
    ],
    notes: TARGETS,
    load: async () => (await import('./repo-diff.ts')).runRepoDiff,
  })
  addCommand(repo, context, {
    name: 'inspect',
    words: '<target>',
    description: 'Show the commit, the shape of the tree, sizes, the key, and what is odd.',
    options: READ_OPTIONS,
    examples: [
      ['An account at its host', 'skein repo inspect alice.example.com'],
      ['A file', 'skein repo inspect repo.car --skip-signature'],
    ],
    notes: TARGETS,
    load: async () => (await import('./repo-inspect.ts')).runRepoInspect,
  })
}
