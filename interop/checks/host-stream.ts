/** Compares what `@atproto/sync` got from Skein's repository host with what was written there. */

import { CLIENT_NAMES } from '../clients/client.ts'
import type { ToldEntry } from '../compare/told.ts'
import { accountThing, eventDifferences, eventsSeen, IDENTITY, missingOf } from '../compare/told.ts'
import type { Scene } from '../scenario/scene.ts'
import type { Watcher } from '../streams/observers.ts'
import type { Check } from './check.ts'
import { checkOf } from './check.ts'

/** Faults quoted in a report. */
const FAULTS_QUOTED_MAX = 5
/** The most operations that a commit may have. */
const OPERATIONS_MAX = 200

/** Which of the events that were told a kind of write is about. */
type Kind = (entry: ToldEntry) => boolean

const hasThing = (start: string): Kind => {
  return ({ things }) => things.some((thing) => thing.startsWith(start))
}

const isStatus = (...names: readonly string[]): Kind => {
  return ({ things }) => names.some((name) => things.includes(accountThing(name)))
}

/** Every kind of write; each must have been done, or the comparison says little. */
const KINDS: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  ['a record created', hasThing('create ')],
  ['a record updated', hasThing('update ')],
  ['a record deleted', hasThing('delete ')],
  [`${OPERATIONS_MAX} operations in one commit`, ({ things }) => things.length === OPERATIONS_MAX],
  ['#identity', hasThing(IDENTITY)],
  ['#sync', hasThing('sync ')],
  ['an account created, and its first write', ({ occasion }) => occasion === 'account creation'],
  ['a key rotated, and what is signed with it next', ({ occasion }) => occasion === 'key rotation'],
  ['a repository imported, and the next write', ({ occasion }) => occasion === 'import'],
  ['an account deactivated', isStatus('deactivated')],
  ['an account suspended', isStatus('suspended')],
  ['an account taken down', isStatus('takendown')],
  ['an account activated again, and the next write', ({ occasion }) => occasion === 'reactivation'],
  ['an account deleted', isStatus('deleted')],
])

/** Checks of the host's own stream; `direct` is connected to it without a relay. */
export function checkHostStream(scene: Scene, direct: Watcher): Check[] {
  const { told } = scene.pds('S')
  const { sightings } = direct.clients['@atproto/sync']
  const seen = new Map(
    told.dids.map((did) => {
      return [did, eventsSeen(sightings.filter((sighting) => sighting.did === did))] as const
    }),
  )
  const faults = told.dids.flatMap((did) =>
    eventDifferences(seen.get(did) ?? [], told.of(did)).map((fault) => `${did}: ${fault}`),
  )
  for (const did of new Set(sightings.map((sighting) => sighting.did))) {
    if (!seen.has(did)) faults.push(`${did}: nothing was done`)
  }
  return [
    ...[...KINDS].map(([name, kind]) =>
      checkOf(
        `@atproto/sync, authenticated, got from the host: ${name}`,
        missingOf(told.entries.filter(kind), told.entries, seen).slice(0, FAULTS_QUOTED_MAX),
      ),
    ),
    checkOf(
      '@atproto/sync, authenticated, got from the host exactly what was written, in order',
      faults.slice(0, FAULTS_QUOTED_MAX),
    ),
    ...CLIENT_NAMES.map((name) =>
      checkOf(
        `${name} reports no error of the host`,
        direct.clients[name].errors.slice(0, FAULTS_QUOTED_MAX),
      ),
    ),
  ]
}
