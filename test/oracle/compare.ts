/** What came out of a relay, held against what is true. Each function returns what is wrong. */
import { createHash } from 'node:crypto'
import { encode } from '@atcute/cbor'
import type { SimNetwork } from '../../src/sim/network.ts'
import type { World, WorldAccount } from '../../src/sim/world.ts'
import { didOf, type ReceivedFrame } from '../support/relay-client.ts'

/** Faults of one kind that are told; more than these say nothing new. */
const TOLD_MAX = 12

function cut(faults: readonly string[]): string[] {
  if (faults.length <= TOLD_MAX) return [...faults]
  return [...faults.slice(0, TOLD_MAX), `and ${faults.length - TOLD_MAX} more like these`]
}

/** The name of an event among all of its account, as the world gives it. */
export function eventIdOf({ type, body }: ReceivedFrame): string {
  const { rev, time } = body
  return `${type} ${typeof rev === 'string' ? rev : ''} ${typeof time === 'string' ? time : ''}`
}

/** Hash of a frame without its seq, encoded by another library than the one under test. */
export function contentHashOf({ type, body }: ReceivedFrame): string {
  return createHash('sha256')
    .update(encode({ op: 1, t: type }))
    .update(encode({ ...body, seq: 0 }))
    .digest('hex')
}

/** Frames by account, in order. */
function byAccount(frames: readonly ReceivedFrame[]): Map<string, ReceivedFrame[]> {
  const accounts = new Map<string, ReceivedFrame[]>()
  for (const frame of frames) {
    const did = didOf(frame)
    accounts.set(did, [...(accounts.get(did) ?? []), frame])
  }
  return accounts
}

/**
 * Every honest event once, byte for byte but for its seq, in the order of its account; nothing
 * else. What a host has sent twice on purpose may come twice, unless it is a commit.
 */
export function compareEvents(
  network: Pick<SimNetwork, 'world'>,
  frames: readonly ReceivedFrame[],
): string[] {
  const { world } = network
  const faults: string[] = []
  const seqs = frames.map(({ seq }) => seq)
  if (seqs.some((seq, i) => seq !== i + 1)) faults.push('seqs are not 1, 2, 3…')
  const received = byAccount(frames)
  for (const did of received.keys()) {
    if (world.account(did) === null) faults.push(`${did} is not an account`)
  }
  for (const did of world.dids) faults.push(...compareAccount(world, did, received.get(did) ?? []))
  return cut(faults)
}

function compareAccount(world: World, did: string, frames: readonly ReceivedFrame[]): string[] {
  const faults: string[] = []
  const expected = new Map(world.events(did).map((event) => [event.id, event.fingerprint]))
  const seen = new Set<string>()
  for (const frame of frames) {
    const id = eventIdOf(frame)
    const fingerprint = expected.get(id)
    if (fingerprint === undefined) {
      // A relay tells itself that an account is active again, when its host has said so.
      if (frame.type !== '#account' || frame.body['active'] !== true) {
        faults.push(`${did}: ${id} (seq ${frame.seq}) was never sent`)
      }
      continue
    }
    if (fingerprint !== contentHashOf(frame)) faults.push(`${did}: ${id} was changed on its way`)
    if (seen.has(id) && frame.type === '#commit') faults.push(`${did}: ${id} came twice`)
    seen.add(id)
  }
  const lost = [...expected.keys()].filter((id) => !seen.has(id))
  for (const id of lost) faults.push(`${did}: ${id} is lost`)
  if (lost.length === 0 && [...seen].join() !== [...expected.keys()].join()) {
    faults.push(`${did}: events are out of order`)
  }
  return faults
}

/**
 * Each lie refused for its reason, nothing else refused, and the honest event after each lie there.
 *
 * @param drops Events that the relay has dropped, by reason.
 */
export function compareDrops(
  network: SimNetwork,
  drops: Readonly<Record<string, number>>,
  frames: readonly ReceivedFrame[],
): string[] {
  const { ledger } = network.simulation
  const faults: string[] = []
  const noise = network.expectedNoise()
  const told = new Map<string, number>(ledger.told())
  const sent = new Map<string, number>(ledger.sent())
  const extra = new Map<string, number>(noise)
  for (const reason of new Set([...told.keys(), ...extra.keys(), ...Object.keys(drops)])) {
    const dropped = drops[reason] ?? 0
    const least = told.get(reason) ?? 0
    const most = (sent.get(reason) ?? 0) + (extra.get(reason) ?? 0)
    if (dropped < least || dropped > most) {
      faults.push(`${reason}: ${dropped} dropped, ${least} to ${most} expected`)
    }
  }
  const received = new Set(frames.map((frame) => `${didOf(frame)} ${eventIdOf(frame)}`))
  const survivors = new Set([...received].map((text) => text.slice(text.indexOf(' ') + 1)))
  for (const { number, lie, sibling, sent: times } of ledger.entries) {
    if (times === 0) faults.push(`lie ${number} (${lie}) was never sent`)
    if (!survivors.has(sibling)) faults.push(`the sibling of lie ${number} (${lie}) is lost`)
  }
  return cut(faults)
}

/** A relay that answers queries. */
export interface Callable {
  call(nsid: string, params?: Readonly<Record<string, string>>): Promise<{ readonly body: unknown }>
}

/** What the relay says of each account: status, rev, head. */
export async function compareAccounts(
  network: Pick<SimNetwork, 'world'>,
  relay: Callable,
): Promise<string[]> {
  const faults: string[] = []
  const listed = await listRepos(relay)
  for (const did of network.world.dids) {
    const account = network.world.account(did)
    if (account === null) continue
    const repo = listed.get(did)
    if (repo === undefined) {
      faults.push(`${did} is not listed`)
      continue
    }
    const wanted = { head: account.head?.commit, rev: account.head?.rev, ...statusOf(account) }
    const { did: _, ...found } = repo
    faults.push(...differences(did, 'listRepos', wanted, found))
    const status = await relay.call('com.atproto.sync.getRepoStatus', { did })
    const { rev } = wanted
    const expected = { did, ...statusOf(account), ...(account.status === 'active' ? { rev } : {}) }
    faults.push(...differences(did, 'getRepoStatus', expected, status.body))
  }
  return cut(faults)
}

function statusOf({ status }: WorldAccount): object {
  return status === 'active' ? { active: true } : { active: false, status }
}

function differences(did: string, where: string, wanted: object, found: unknown): string[] {
  const [left, right] = [sorted(wanted), sorted(Object(found))]
  return left === right ? [] : [`${did}: ${where} says ${right}, but ${left}`]
}

function sorted(value: object): string {
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify(Object.fromEntries(entries))
}

type ListedRepo = Readonly<Record<string, unknown>> & { readonly did: string }

async function listRepos(relay: Callable): Promise<Map<string, ListedRepo>> {
  const repos = new Map<string, ListedRepo>()
  let cursor: string | undefined
  do {
    const { body } = await relay.call('com.atproto.sync.listRepos', {
      limit: '10',
      ...(cursor === undefined ? {} : { cursor }),
    })
    const page = body as { readonly repos: readonly ListedRepo[]; readonly cursor?: string }
    for (const repo of page.repos) repos.set(repo.did, repo)
    cursor = page.cursor
  } while (cursor !== undefined)
  return repos
}

/**
 * Replay gives the same bytes under the same seqs, but nothing of repositories that are not served;
 * of accounts that are gone for good it may leave out everything but their `#account` events.
 */
export function compareReplay(
  world: World,
  live: readonly ReceivedFrame[],
  again: readonly ReceivedFrame[],
): string[] {
  const faults: string[] = []
  const bySeq = new Map(again.map((frame) => [frame.seq, frame]))
  const statusOfFrame = (frame: ReceivedFrame): string =>
    world.account(didOf(frame))?.status ?? 'unknown'
  const isServed = (frame: ReceivedFrame): boolean => {
    const isContent = frame.type === '#commit' || frame.type === '#sync'
    return !isContent || statusOfFrame(frame) === 'active'
  }
  const mayBeGone = (frame: ReceivedFrame): boolean =>
    !isServed(frame) ||
    (frame.type !== '#account' && ['takendown', 'deleted'].includes(statusOfFrame(frame)))
  for (const frame of live) {
    const replayed = bySeq.get(frame.seq)
    bySeq.delete(frame.seq)
    if (replayed === undefined) {
      if (!mayBeGone(frame)) faults.push(`seq ${frame.seq} (${frame.type}) is not replayed`)
    } else if (!isServed(frame)) {
      faults.push(`seq ${frame.seq} of ${didOf(frame)} is replayed, which is not active`)
    } else if (Buffer.compare(replayed.bytes, frame.bytes) !== 0) {
      faults.push(`seq ${frame.seq} is replayed with other bytes`)
    }
  }
  for (const seq of bySeq.keys()) faults.push(`seq ${seq} is replayed and was never sent`)
  return cut(faults)
}
