/** Checks of the relay's streams as a whole, beside the comparison of single events. */

import type { ClientName } from '../clients/client.ts'
import { CLIENT_NAMES } from '../clients/client.ts'
import { waitUntil } from '../net/wait.ts'
import type { ExitStatus } from '../relay/relay-process.ts'
import type { Watcher } from '../streams/observers.ts'
import type { PdsName } from '../world/pds.ts'
import type { Check } from './check.ts'
import { checkOf } from './check.ts'

/** What a relay that comes back has to close its clients with: they take 1000 for the end. */
const SERVICE_RESTART = 1012
/** How long the closes of a stopped relay may take to arrive, ms. */
const CLOSE_TIMEOUT_MS = 3_000
/** Errors quoted in a report. */
const ERRORS_QUOTED_MAX = 3

/** Checks that need the whole run. */
export function checkStreams(
  relayed: Watcher,
  direct: Readonly<Record<PdsName, Watcher>>,
): Check[] {
  const { faults, notices } = relayed.raw
  return [
    checkOf('seqs rise over restarts, and every frame can be read', faults.slice(0, 5)),
    checkOf(
      'no error or info frame came',
      notices.map((notice) => `${notice.kind} ${notice.name} ${notice.message}`),
    ),
    ...CLIENT_NAMES.map((name) => checkErrors(name, relayed, direct)),
  ]
}

/** A client may find fault with what the relay passes on only where it does so with the PDS. */
function checkErrors(
  name: ClientName,
  relayed: Watcher,
  direct: Readonly<Record<PdsName, Watcher>>,
): Check {
  const excused = Object.values(direct).flatMap((watcher) => watcher.clients[name].errors.slice())
  const errors = relayed.clients[name].errors.filter((error) => {
    const index = excused.indexOf(error)
    if (index >= 0) excused.splice(index, 1)
    return index < 0
  })
  return checkOf(
    `${name} reports no error that it does not report of the PDSes`,
    errors.length === 0
      ? []
      : [`${errors.length} errors: ${errors.slice(0, ERRORS_QUOTED_MAX).join(', ')}`],
  )
}

/** How many closes each observer that shows them has seen; taken before the relay is stopped. */
export type CloseCounts = ReadonlyMap<string, number>

export function countCloses(relayed: Watcher): CloseCounts {
  return new Map([...closesOf(relayed)].map(([name, codes]) => [name, codes.length]))
}

/** Checks how the relay went down when it was asked to, given the counts from before. */
export async function checkStop(
  relayed: Watcher,
  before: CloseCounts,
  exit: ExitStatus,
): Promise<Check[]> {
  const exits = exit.code === 0 ? [] : [`code ${String(exit.code)} signal ${String(exit.signal)}`]
  await waitUntil(
    () => [...closesOf(relayed)].every(([name, codes]) => codes.length > (before.get(name) ?? 0)),
    CLOSE_TIMEOUT_MS,
  )
  const faults: string[] = []
  for (const [name, codes] of closesOf(relayed)) {
    // Those that follow are of attempts to reconnect, while nobody listens.
    const code = codes[before.get(name) ?? 0]
    if (code !== SERVICE_RESTART) faults.push(`${name} was closed with ${code ?? 'nothing'}`)
  }
  return [
    checkOf('SIGTERM: the relay exits with 0', exits),
    checkOf(`SIGTERM: clients are closed with ${SERVICE_RESTART}`, faults),
  ]
}

function closesOf(relayed: Watcher): Map<string, readonly number[]> {
  const closes = new Map<string, readonly number[]>([
    ['raw', relayed.raw.closes.map((close) => close.code)],
  ])
  for (const client of Object.values(relayed.clients)) {
    if (client.closeCodes !== null) closes.set(client.name, client.closeCodes)
  }
  return closes
}
