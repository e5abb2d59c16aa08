/** Commands about hosts, accounts and relays: what they say, whether they agree, what ails them. */

import type { Command } from 'commander'

import { addCommand, addGroup, type CliContext } from '../shared/command.ts'
import {
  COMPARE_OPTIONS,
  HOST_REPOS_OPTIONS,
  DOCTOR_OPTIONS,
  LIMIT_OPTION,
  RELAYS_OPTION,
  TAIL_OPTIONS,
} from './network-options.ts'

/** Adds `tail`, `host`, `account`, `crawl`, `doctor` and `compare`. */
export function addNetworkCommands(program: Command, context: CliContext): void {
  addTail(program, context)
  addHost(program, context)
  addAccount(program, context)
  addCrawl(program, context)
  addDoctor(program, context)
  addCompare(program, context)
}

function addTail(program: Command, context: CliContext): void {
  addCommand(program, context, {
    name: 'tail',
    words: '[service]',
    description: 'Show the events of a relay or host as they come.',
    options: { ...TAIL_OPTIONS, ...RELAYS_OPTION },
    examples: [
      ['Everything that a relay streams now', 'skein tail relay1.us-east.bsky.network'],
      [
        'New posts of one account, each commit verified',
        'skein tail --verify --did did:plc:... --collection app.bsky.feed.post',
      ],
      [
        'JSON lines into a file, to be continued where it stopped',
        'skein tail --json --cursor place.json >> events.jsonl',
      ],
    ],
    notes: TAIL_NOTES,
    load: async () => (await import('../tail/tail-command.ts')).runTail,
  })
}

const TAIL_NOTES = `Without a service it is the first --relay. What is not an event goes to standard
error: connections, gaps, refusals. --cursor takes live, oldest, a seq, or a file
that keeps the place: it is made when it is not there. With --verify signatures,
operations, trees and continuity are checked; what does not hold is not shown, and
repositories with gaps are fetched anew and shown as repairs.
`

function addHost(program: Command, context: CliContext): void {
  const group = addGroup(program, 'host', 'Look at a repository host, or at those of a relay.')
  addCommand(group, context, {
    name: 'status',
    words: '<host>',
    description: 'What a host says of itself, and relays of it.',
    options: RELAYS_OPTION,
    examples: [
      ['A host, and what the relay makes of it', 'skein host status pds.example.com'],
      ['At two relays', 'skein host status pds.example.com --relay a.example --relay b.example'],
    ],
    load: async () => (await import('./host-commands.ts')).runHostStatus,
  })
  addCommand(group, context, {
    name: 'list',
    words: '[relay]',
    description: 'The hosts that a relay reads.',
    options: { ...LIMIT_OPTION, ...RELAYS_OPTION },
    examples: [
      ['The first thousand', 'skein host list relay1.us-east.bsky.network'],
      ['All, as JSON lines', 'skein host list --limit 0 --json'],
    ],
    load: async () => (await import('./host-commands.ts')).runHostList,
  })
  addCommand(group, context, {
    name: 'repos',
    words: '<service>',
    description: 'The repositories of a host or relay, counted by status.',
    options: { ...HOST_REPOS_OPTIONS, ...LIMIT_OPTION },
    examples: [
      ['How many accounts are active', 'skein host repos pds.example.com --summary'],
      ['Those that are not', 'skein host repos pds.example.com --status inactive'],
      ['All, as JSON lines', 'skein host repos pds.example.com --limit 0 --json'],
    ],
    load: async () => (await import('./host-commands.ts')).runHostRepos,
  })
}

function addAccount(program: Command, context: CliContext): void {
  const group = addGroup(program, 'account', 'Look at an account.')
  addCommand(group, context, {
    name: 'status',
    words: '<did|handle>',
    description: 'An account by its DID document, at its host and at relays, side by side.',
    options: RELAYS_OPTION,
    examples: [
      ['By handle', 'skein account status alice.example.com'],
      ['At two relays', 'skein account status did:plc:... --relay a.example --relay b.example'],
    ],
    notes: `Exit code 0 when all agree that it is active, 3 when it is not there or not active
at its host, 4 when host and relays differ.
`,
    load: async () => (await import('./account-command.ts')).runAccountStatus,
  })
}

function addCrawl(program: Command, context: CliContext): void {
  const group = addGroup(program, 'crawl', 'Have a host read by relays.')
  addCommand(group, context, {
    name: 'request',
    words: '<host>',
    description: 'Ask relays to read a host, and see what they make of it.',
    options: RELAYS_OPTION,
    examples: [
      ['The default relay', 'skein crawl request pds.example.com'],
      ['A relay of your own', 'skein crawl request pds.example.com --relay relay.example.com'],
    ],
    load: async () => (await import('./crawl-command.ts')).runCrawlRequest,
  })
}

function addDoctor(program: Command, context: CliContext): void {
  addCommand(program, context, {
    name: 'doctor',
    words: '<host|did|handle>',
    description: 'Find out why a host or account is not in the network.',
    options: { ...DOCTOR_OPTIONS, ...RELAYS_OPTION },
    examples: [
      ['A host that no relay seems to read', 'skein doctor pds.example.com'],
      ['An account whose posts do not show', 'skein doctor alice.example.com'],
      ['The host and its stream alone', 'skein doctor pds.example.com --relay none'],
    ],
    notes: DOCTOR_NOTES,
    load: async () => (await import('../doctor/doctor-command.ts')).runDoctor,
  })
}

const DOCTOR_NOTES = `Walks the way that a relay walks: name, connection, describeServer, stream, the
first commit, its key and host; then statuses and revs at the host and at
relays. Each step that fails says what to do. A name with a dot that is no
handle is a host; write https://<name> when it is both. docs/doctor.md explains
every finding.

Exit codes: 0 nothing fails, 1 something fails, 3 what was named is not there or
not active, 4 something does not verify.
`

function addCompare(program: Command, context: CliContext): void {
  addCommand(program, context, {
    name: 'compare',
    words: '<relay> <relay>',
    description: 'Hold two relays against one another: hosts, accounts, live events.',
    options: COMPARE_OPTIONS,
    examples: [
      ['Hosts, accounts, and a minute of events', 'skein compare a.example b.example'],
      ['Events alone, for an hour', 'skein compare a.example b.example --limit 0 --duration 1h'],
    ],
    notes: `Exit code 0 when nothing differs, 4 when something does. Accounts are asked for
again before they count as different: relays are some seconds apart by nature.
`,
    load: async () => (await import('./compare-command.ts')).runCompare,
  })
}
