/**
 * Checks of the measure itself: what the PDSes sent must be fit to compare with, and the scenario
 * must have done what it says.
 */

import { sleep, waitUntil } from '../net/wait.ts'
import type { Ledger } from '../compare/ledger.ts'
import type { Scene } from '../scenario/scene.ts'
import type { Watcher } from '../streams/observers.ts'
import { Recorder } from '../streams/recorder.ts'
import type { Pds, PdsName } from '../world/pds.ts'
import { PDS_NAMES } from '../world/pds.ts'
import type { Check } from './check.ts'
import { checkOf, runCheck } from './check.ts'

/** How long the PDS may take to send its backlog, ms. */
const BACKLOG_TIMEOUT_MS = 15_000
/** How long to wait for more than is expected, ms. */
const SURPLUS_WAIT_MS = 300

/** All checks of the PDSes' own streams and of the scenario. */
export async function checkOracle(
  scene: Scene,
  watchers: Readonly<Record<PdsName, Watcher>>,
  ledger: Ledger,
): Promise<Check[]> {
  const checks = [checkOf('every step made the events that it is about', ledger.faults())]
  for (const name of PDS_NAMES) {
    const { events, faults, closes, notices } = watchers[name].raw
    const found = [...faults, ...notices.map((notice) => notice.name)]
    const odd = events.filter((event) => !event.canonical)
    if (odd.length > 0) found.push(`${odd.length} frames are not canonical, so not comparable`)
    const fingerprints = new Set(events.map((event) => event.fingerprint))
    if (fingerprints.size < events.length) found.push('two events are the same but for their seq')
    if (closes.length > 0) found.push(`the recorder was closed with ${closes[0]?.code ?? 0}`)
    checks.push(checkOf(`the stream of PDS ${name} can be compared with`, found))
    checks.push(
      await runCheck(`the backlog of PDS ${name} is what it sent live`, () =>
        compareBacklog(scene.pds(name), watchers[name], scene),
      ),
    )
  }
  return checks
}

/** A PDS forgets all events of an account that it deletes but the last. */
async function compareBacklog(pds: Pds, watcher: Watcher, scene: Scene): Promise<string[]> {
  const recorder = new Recorder(pds.origin, { cursor: 0, reconnect: 'never' })
  try {
    const lastSeq = await pds.lastSeq()
    if (!(await waitUntil(() => recorder.lastSeq >= lastSeq, BACKLOG_TIMEOUT_MS))) {
      return [`it ended at seq ${recorder.lastSeq}, before ${lastSeq}`]
    }
    await sleep(SURPLUS_WAIT_MS)
    const backlog = new Set(recorder.events.map((event) => event.fingerprint))
    const live = new Set(watcher.raw.events.map((event) => event.fingerprint))
    const deleted = new Set(
      watcher.raw.events
        .filter((event) => event.type === '#account' && event.what === 'deleted')
        .map((event) => event.did),
    )
    const lost = watcher.raw.events.filter(
      (event) => !backlog.has(event.fingerprint) && !deleted.has(event.did),
    )
    const added = recorder.events.filter((event) => !live.has(event.fingerprint))
    const faults: string[] = []
    if (lost.length > 0) faults.push(`${lost.length} live events are not in it`)
    if (added.length > 0) faults.push(`${added.length} events were not sent live`)
    if (deleted.size === 0 && pds === scene.pds('A')) faults.push('no account was deleted')
    return faults
  } finally {
    await recorder.stop()
  }
}
