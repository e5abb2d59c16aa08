/** Compares what `@atproto/sync` got from Skein's repository host with what was written there. */

import { CLIENT_NAMES } from '../clients/client.ts'
import { eventDifferences, eventsSeen } from '../compare/told.ts'
import type { Scene } from '../scenario/scene.ts'
import type { Watcher } from '../streams/observers.ts'
import type { Check } from './check.ts'
import { checkOf } from './check.ts'

/** What must have been done, or the comparison says little. */
const KINDS = [
  'create',
  'update',
  'delete',
  'identity',
  'sync',
  ...['active', 'deactivated', 'suspended', 'takendown', 'deleted'].map(
    (name) => `account ${name}`,
  ),
]

/** Faults quoted in a report. */
const FAULTS_QUOTED_MAX = 5

/** Checks of the host's own stream; `direct` is connected to it without a relay. */
export function checkHostStream(scene: Scene, direct: Watcher): Check[] {
  const { told } = scene.pds('S')
  const { sightings } = direct.clients['@atproto/sync']
  const faults = told.dids.flatMap((did) => {
    const events = eventsSeen(sightings.filter((sighting) => sighting.did === did))
    return eventDifferences(events, told.of(did)).map((fault) => `${did}: ${fault}`)
  })
  const things = told.dids.flatMap((did) => told.of(did)).flat()
  for (const kind of KINDS) {
    if (!things.some((thing) => thing.startsWith(kind))) faults.push(`nothing was done of ${kind}`)
  }
  for (const { did } of sightings) {
    if (told.of(did).length === 0) faults.push(`${did}: nothing was done`)
  }
  return [
    checkOf(
      '@atproto/sync yields exactly what was written at the host',
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
