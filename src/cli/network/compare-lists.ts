/** The listings of two relays, held against one another. */

import type { SyncClient } from '../../client/calls/sync-client.ts'
import type { ListedRepo } from '../../client/calls/sync-types.ts'
import { sleep, systemClock } from '../../lib/clock.ts'
import { type AccountView, statusText, viewAccount } from './account-view.ts'
import type { CommandCall } from '../shared/command.ts'
import type { OptionTable } from '../../ops/option-table.ts'
import { statusOf } from './host-commands.ts'
import { Progress } from '../shared/progress.ts'

type Relays = readonly [SyncClient, SyncClient]
type AnyCall = Pick<CommandCall<OptionTable>, 'io' | 'signal'>

/** Entries of one page. */
const PAGE_LIMIT = 1_000
/** Hosts that are compared: all that a public relay has, many times over. */
const HOSTS_MAX = 200_000
/** Differences that are kept. */
const DIFFERENCES_MAX = 10_000
/** Accounts that differ in the listings and are asked for one by one; each costs four requests. */
const ASKED_MAX = 500
const ASKED_AT_ONCE = 4
/** Relays are some events apart: what differs is looked at again after a pause. */
const LOOKS = 3
const LOOK_PAUSE_MS = 1_500

/** One entry that is not the same; null where it is not there. */
export interface ListDifference {
  readonly name: string
  readonly a: string | null
  readonly b: string | null
}

export interface ListDifferences {
  /** Entries that are at one of them at least. */
  readonly compared: number
  readonly onlyA: number
  readonly onlyB: number
  readonly differing: number
  /** The first ones of them all. */
  readonly differences: readonly ListDifference[]
  /** The listing was not read to its end. */
  readonly isCut: boolean
  readonly note: string | null
}

/** Hosts by name, and whether both read them. Statuses that come and go do not count. */
export async function compareHosts(call: AnyCall, relays: Relays): Promise<ListDifferences> {
  using progress = new Progress(call.io, { label: 'hosts', unit: 'hosts' })
  const [a, b] = await Promise.all(relays.map((relay) => hostsOf(relay, progress)))
  const differences: ListDifference[] = []
  for (const name of new Set([...(a?.keys() ?? []), ...(b?.keys() ?? [])])) {
    const [atA = null, atB = null] = [a?.get(name), b?.get(name)]
    const isOther = atA === null || atB === null || isRead(atA) !== isRead(atB)
    if (isOther) differences.push({ name, a: atA, b: atB })
  }
  const compared = new Set([...(a?.keys() ?? []), ...(b?.keys() ?? [])]).size
  return summary(differences, { compared, isCut: compared >= HOSTS_MAX, note: null })
}

async function hostsOf(relay: SyncClient, progress: Progress): Promise<Map<string, string>> {
  const hosts = new Map<string, string>()
  for await (const { hostname, status = 'not said' } of relay.listHosts({ limit: PAGE_LIMIT })) {
    hosts.set(hostname, status)
    progress.add(1)
    if (hosts.size >= HOSTS_MAX) break
  }
  return hosts
}

/** Whether a relay takes events from a host of this status. */
function isRead(status: string): boolean {
  return status === 'active' || status === 'idle' || status === 'not said'
}

/**
 * Accounts in order of the first relay's listing, up to `limit`, each looked up in the second's: by
 * its listing where that runs in step, else by asking. What differs is asked for again at both.
 */
export async function compareAccounts(
  call: AnyCall,
  relays: Relays,
  limit: number,
): Promise<ListDifferences> {
  using progress = new Progress(call.io, { label: 'accounts', unit: 'accounts' })
  const [a, b] = await Promise.all(relays.map((relay) => reposOf(relay, limit, progress)))
  const [reposA, reposB] = [a?.repos ?? new Map(), b?.repos ?? new Map()]
  const isCut = (a?.isCut ?? false) || (b?.isCut ?? false)
  const dids = new Set([...reposA.keys(), ...(isCut ? [] : reposB.keys())])
  const doubtful = [...dids].filter((did) => !isSame(reposA.get(did), reposB.get(did)))
  const asked = sampled(doubtful, ASKED_MAX)
  progress.update(0, `${asked.length} are asked for again`)
  const differences = await askAgain(call, relays, asked, progress)
  const note =
    asked.length < doubtful.length
      ? `${asked.length} of ${doubtful.length} that differ in the lists were asked for`
      : null
  return summary(differences, { compared: dids.size, isCut, note })
}

interface Repos {
  readonly repos: ReadonlyMap<string, ListedRepo>
  readonly isCut: boolean
}

async function reposOf(relay: SyncClient, limit: number, progress: Progress): Promise<Repos> {
  const repos = new Map<string, ListedRepo>()
  for await (const repo of relay.listRepos({ limit: Math.min(PAGE_LIMIT, limit) })) {
    if (repos.size >= limit) return { repos, isCut: true }
    repos.set(repo.did, repo)
    progress.add(1)
  }
  return { repos, isCut: false }
}

function isSame(a: ListedRepo | undefined, b: ListedRepo | undefined): boolean {
  if (a === undefined || b === undefined) return false
  return statusOf(a) === statusOf(b) && a.rev === b.rev && a.head === b.head
}

/** Evenly over the whole, so that one host's accounts are not all there is to see. */
function sampled(list: readonly string[], max: number): readonly string[] {
  if (list.length <= max) return list
  return Array.from({ length: max }, (_, i) => list[Math.floor((i * list.length) / max)] ?? '')
}

async function askAgain(
  { signal }: AnyCall,
  relays: Relays,
  dids: readonly string[],
  progress: Progress,
): Promise<ListDifference[]> {
  let doubtful = dids
  let found = new Map<string, ListDifference>()
  for (let look = 0; look < LOOKS && doubtful.length > 0; look++) {
    if (look > 0) await sleep(systemClock, LOOK_PAUSE_MS, signal)
    signal.throwIfAborted()
    const next = new Map<string, ListDifference>()
    const waiting = [...doubtful]
    const ask = async (): Promise<void> => {
      for (let did = waiting.pop(); did !== undefined; did = waiting.pop()) {
        const difference = await differenceOf(relays, did)
        if (difference !== null) next.set(did, difference)
        progress.add(1)
      }
    }
    await Promise.all(Array.from({ length: ASKED_AT_ONCE }, ask))
    found = next
    doubtful = [...next.keys()]
  }
  return [...found.values()].toSorted((one, other) => (one.name < other.name ? -1 : 1))
}

async function differenceOf([a, b]: Relays, did: string): Promise<ListDifference | null> {
  const [atA, atB] = await Promise.all([viewAccount(a, 'relay', did), viewAccount(b, 'relay', did)])
  const isEqual =
    atA.status === atB.status && (atA.status !== 'active' || headText(atA) === headText(atB))
  return isEqual ? null : { name: did, a: viewText(atA), b: viewText(atB) }
}

function headText({ rev, commit }: AccountView): string {
  return `${rev ?? ''} ${commit ?? ''}`
}

/** Null when the account is not there. */
function viewText(view: AccountView): string | null {
  if (view.status === 'not-found') return null
  return view.rev === null ? statusText(view) : `${statusText(view)} at ${view.rev}`
}

function summary(
  differences: readonly ListDifference[],
  rest: Pick<ListDifferences, 'compared' | 'isCut' | 'note'>,
): ListDifferences {
  const onlyA = differences.filter(({ b }) => b === null).length
  const onlyB = differences.filter(({ a }) => a === null).length
  const differing = differences.length - onlyA - onlyB
  return { ...rest, onlyA, onlyB, differing, differences: differences.slice(0, DIFFERENCES_MAX) }
}
