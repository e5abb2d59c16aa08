/** Reconnects to the relay at chosen cursors and compares what comes with what was recorded. */

import { sleep, waitUntil } from '../net/wait.ts'
import { query } from '../net/xrpc.ts'
import type { Scene } from '../scenario/scene.ts'
import type { StreamEvent } from '../streams/frame.ts'
import { Recorder } from '../streams/recorder.ts'
import type { Check } from './check.ts'
import { runCheck } from './check.ts'

/** How long a replay may take, ms. */
const REPLAY_TIMEOUT_MS = 15_000
/** How long to wait for more than is expected, ms. */
const SURPLUS_WAIT_MS = 300
/** Distance of a cursor that is in the future whatever is written meanwhile. */
const FUTURE = 1_000_000_000

/**
 * - `must`: a replay has to contain the event
 * - `may`: the account has been taken down since, and its replay may have been purged
 * - `must-not`: it is content of an account that is not active
 */
type Duty = 'must' | 'may' | 'must-not'

/** All checks of replay against `recorded`, everything that the relay has sent so far. */
export async function checkReplay(
  relay: string,
  recorded: readonly StreamEvent[],
  scene: Scene,
  when: string,
): Promise<Check[]> {
  const duty = await dutyOf(scene, recorded)
  const cursors: [string, number][] = [
    ['the start', 0],
    ['the first event', recorded[0]?.seq ?? 0],
    ['the middle', recorded[Math.floor(recorded.length / 2)]?.seq ?? 0],
    ['the last event but one', recorded.at(-2)?.seq ?? 0],
  ]
  const checks: Check[] = []
  for (const [name, cursor] of cursors) {
    checks.push(
      await runCheck(`a cursor at ${name} replays exactly what follows (${when})`, () =>
        replayFrom(relay, cursor, recorded, duty),
      ),
    )
  }
  const last = recorded.at(-1)?.seq ?? 0
  checks.push(
    await runCheck(`a cursor in the future is refused (${when})`, () =>
      futureCursor(relay, last + FUTURE),
    ),
  )
  return checks
}

async function replayFrom(
  relay: string,
  cursor: number,
  recorded: readonly StreamEvent[],
  duty: (event: StreamEvent) => Duty,
): Promise<string[]> {
  const wanted = recorded.filter((event) => event.seq > cursor)
  const lastSeq = wanted.findLast((event) => duty(event) === 'must')?.seq ?? cursor
  const recorder = new Recorder(relay, { cursor, reconnect: 'never' })
  try {
    const came = await waitUntil(() => recorder.lastSeq >= lastSeq, REPLAY_TIMEOUT_MS)
    await sleep(SURPLUS_WAIT_MS)
    const faults = [...recorder.faults, ...recorder.notices.map((notice) => notice.name)]
    if (!came) faults.push(`it ended at seq ${recorder.lastSeq}, before ${lastSeq}`)
    faults.push(...replayDifferences(wanted, recorder.events, duty))
    return faults
  } finally {
    await recorder.stop()
  }
}

function replayDifferences(
  wanted: readonly StreamEvent[],
  came: readonly StreamEvent[],
  duty: (event: StreamEvent) => Duty,
): string[] {
  const bySeq = new Map(came.map((event) => [event.seq, event]))
  const faults: string[] = []
  for (const event of wanted) {
    const replayed = bySeq.get(event.seq)
    const name = `seq ${event.seq} (${event.type} ${event.did})`
    bySeq.delete(event.seq)
    if (replayed === undefined) {
      if (duty(event) === 'must') faults.push(`${name} is missing`)
    } else if (Buffer.compare(replayed.bytes, event.bytes) !== 0) {
      faults.push(`${name} has other bytes than before`)
    } else if (duty(event) === 'must-not') {
      faults.push(`${name} is content of an account that is not active`)
    }
  }
  for (const event of bySeq.values()) faults.push(`seq ${event.seq} was not sent before`)
  return faults
}

async function dutyOf(
  scene: Scene,
  recorded: readonly StreamEvent[],
): Promise<(event: StreamEvent) => Duty> {
  const inactive = new Set<string>()
  for (const account of scene.accounts) {
    if (account.deleted || !(await isActive(account.home.origin, account.did))) {
      inactive.add(account.did)
    }
  }
  /** The last #account of each DID, and the last that says that it is gone. */
  const statusSeq = new Map<string, number>()
  const purgeSeq = new Map<string, number>()
  for (const event of recorded) {
    if (event.type !== '#account') continue
    statusSeq.set(event.did, event.seq)
    if (event.what === 'takendown' || event.what === 'deleted') purgeSeq.set(event.did, event.seq)
  }
  return (event) => {
    if (event.seq === statusSeq.get(event.did)) return 'must'
    const content = event.type === '#commit' || event.type === '#sync'
    if (inactive.has(event.did) && content) return 'must-not'
    return event.seq < (purgeSeq.get(event.did) ?? 0) ? 'may' : 'must'
  }
}

async function isActive(origin: string, did: string): Promise<boolean> {
  const status = await query(origin, 'com.atproto.sync.getRepoStatus', { params: { did } })
  return status['active'] === true
}

/** The specification's answer is an error frame, then a close; 1008 is what the PDS sends. */
async function futureCursor(relay: string, cursor: number): Promise<string[]> {
  const recorder = new Recorder(relay, { cursor, reconnect: 'never' })
  try {
    await waitUntil(() => recorder.closes.length > 0, REPLAY_TIMEOUT_MS)
    const faults: string[] = []
    const [notice] = recorder.notices
    const name = notice?.kind === 'error' ? notice.name : 'nothing'
    if (name !== 'FutureCursor') faults.push(`the error frame says ${name}`)
    if (recorder.events.length > 0) faults.push(`${recorder.events.length} events came`)
    const code = recorder.closes[0]?.code
    if (code !== 1008) faults.push(`the close code is ${code ?? 'none'}`)
    return faults
  } finally {
    await recorder.stop()
  }
}
