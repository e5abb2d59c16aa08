/**
 * Checks of the measure itself: what the PDSes sent must be fit to compare with, and the scenario
 * must have done what it says.
 */

import { sleep, waitUntil } from '../net/wait.ts'
import { query } from '../net/xrpc.ts'
import type { Ledger } from '../compare/ledger.ts'
import type { Scene } from '../scenario/scene.ts'
import type { StreamEvent } from '../streams/frame.ts'
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

/** See {@link Pds.forgets}. */
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
    const hidden = pds.forgets === 'inactive' ? await inactiveAt(pds, watcher) : new Set()
    const isHidden = ({ did, type }: StreamEvent): boolean =>
      hidden.has(did) && (type === '#commit' || type === '#sync')
    const lost = watcher.raw.events.filter(
      (event) => !backlog.has(event.fingerprint) && !deleted.has(event.did) && !isHidden(event),
    )
    const shown = recorder.events.filter(isHidden)
    const added = recorder.events.filter((event) => !live.has(event.fingerprint))
    const faults: string[] = []
    if (lost.length > 0) faults.push(`${lost.length} live events are not in it`)
    if (shown.length > 0) faults.push(`${shown.length} events are of accounts that are not active`)
    if (added.length > 0) faults.push(`${added.length} events were not sent live`)
    if (deleted.size === 0 && pds === scene.pds('A')) faults.push('no account was deleted')
    return faults
  } finally {
    await recorder.stop()
  }
}

/** The accounts that a PDS says are not active, of all that it has sent events of. */
async function inactiveAt(pds: Pds, watcher: Watcher): Promise<Set<string>> {
  const inactive = new Set<string>()
  for (const did of new Set(watcher.raw.events.map((event) => event.did))) {
    const status = await query(pds.origin, 'com.atproto.sync.getRepoStatus', { params: { did } })
    if (status['active'] !== true) inactive.add(did)
  }
  return inactive
}
