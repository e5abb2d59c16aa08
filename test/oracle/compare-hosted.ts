/** What a real host answers over HTTP, held against the model. Functions return what is wrong. */
import { decode } from '@atcute/cbor'
import type { CidLinkWrapper } from '@atcute/cid'
import { readCarWithRoot, verifyProofs, verifyRepoCar } from '@atproto/repo'
import { formatDidKey } from '../../src/crypto/public-key.ts'
import type { Random } from '../../src/lib/random.ts'
import { below, shuffled } from '../../src/sim/distributions.ts'
import type { AccountStatus } from '../../src/sim/world.ts'
import { buildTreeOf } from '../support/reference-tree.ts'
import { compareBlobs, compareBlocks, differenceOf } from './compare-hosted-lists.ts'
import type { HostedAccount, StoredRecord } from './hosted-account.ts'
import { commitFaults, readBlocks } from './real-host-events.ts'
import { answerOf, callJson, type HttpAnswer } from './xrpc-call.ts'

/** How many revs and paths are looked at, of those that there are. */
const SAMPLE = 5

const REFUSALS: Readonly<Record<Exclude<AccountStatus, 'active'>, string>> = {
  deactivated: 'RepoDeactivated',
  suspended: 'RepoSuspended',
  takendown: 'RepoTakendown',
  deleted: 'RepoNotFound',
}

const NSID = 'com.atproto.sync.'

interface Comparison {
  readonly url: string
  readonly account: HostedAccount
  readonly random: Random
  readonly faults: string[]
}

/** Everything that a host must say of an account. */
export async function compareHosted(
  url: string,
  account: HostedAccount,
  random: Random,
): Promise<string[]> {
  const comparison: Comparison = { url, account, random, faults: [] }
  await compareStatus(comparison)
  if (account.status === 'active') {
    await compareExports(comparison)
    await compareProofs(comparison)
    comparison.faults.push(...(await compareBlobs(url, account, random)))
  } else await compareRefusals(comparison, REFUSALS[account.status])
  const { did, host, status } = account
  return comparison.faults.map((fault) => `${did} on host ${host} (${status}): ${fault}`)
}

function same(faults: string[], what: string, found: unknown, wanted: unknown): void {
  faults.push(...differenceOf(what, found, wanted))
}

async function compareStatus({ url, account, faults }: Comparison): Promise<void> {
  const { did, status, head } = account
  const { body } = await callJson(url, `${NSID}getRepoStatus`, { did })
  const isActive = status === 'active'
  const wanted = isActive ? { did, active: true, rev: head?.rev } : { did, active: false, status }
  same(faults, 'getRepoStatus', body, wanted)
  if (!isActive || head === null) return
  const latest = await callJson(url, `${NSID}getLatestCommit`, { did })
  same(faults, 'getLatestCommit', latest.body, { cid: head.commit, rev: head.rev })
  const root = await callJson(url, `${NSID}getHead`, { did })
  same(faults, 'getHead', root.body, { root: head.commit })
}

/** Every endpoint refuses, by the name that its lexicon has for it. */
async function compareRefusals({ url, account, faults }: Comparison, name: string): Promise<void> {
  const { did } = account
  const cid = [...account.uploads.keys()][0] ?? buildTreeOf(new Map()).root
  const [path = 'app.bsky.feed.post/none'] = account.records.keys()
  const [collection = '', rkey = ''] = path.split('/')
  const calls: [string, Record<string, string>][] = [
    ['getRepo', { did }],
    ['getRepo', { did, since: account.head?.rev ?? '3jzfcijpj2z2a' }],
    ['getCheckout', { did }],
    ['getRecord', { did, collection, rkey }],
    ['getBlocks', { did, cids: account.head?.commit ?? cid }],
    ['getBlob', { did, cid }],
    ['getLatestCommit', { did }],
    ['getHead', { did }],
    ['listBlobs', { did }],
  ]
  for (const [method, params] of calls) {
    const { status, body } = await callJson(url, NSID + method, params)
    const isGone = method === 'getHead' && name === 'RepoNotFound'
    const found = `${status} ${String(Object(body).error)}`
    same(faults, method, found, `400 ${isGone ? 'HeadNotFound' : name}`)
  }
}

interface DecodedNode {
  readonly l: CidLinkWrapper | null
  readonly e: readonly { readonly t: CidLinkWrapper | null; readonly v: CidLinkWrapper }[]
}

/** A node, or what stands at a path. */
interface Item {
  readonly cid: string
  /** Of a record: when it was written there. */
  readonly rev: string | null
}

/** A repository without its commit, in streamable order: each record at its place. */
function streamOrder(records: ReadonlyMap<string, StoredRecord>): Item[] {
  const paths = new Map([...records].map(([path, { cid }]) => [path, cid]))
  const { root, nodes } = buildTreeOf(paths)
  const inKeyOrder = [...records].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, record]) => record)
  const items: Item[] = []
  const walk = (cid: string): void => {
    items.push({ cid, rev: null })
    const block = nodes.get(cid)
    if (block === undefined) throw new Error(`node ${cid} is missing`)
    const { l, e } = decode(block) as DecodedNode
    if (l !== null) walk(l.$link)
    for (const { t, v } of e) {
      items.push({ cid: v.$link, rev: inKeyOrder.shift()?.rev ?? '' })
      if (t !== null) walk(t.$link)
    }
  }
  walk(root)
  return items
}

async function carOf(
  { url, account, faults }: Comparison,
  method: string,
  params: Readonly<Record<string, string>>,
): Promise<Uint8Array | null> {
  const answer = await answerOf(url, NSID + method, { did: account.did, ...params })
  if (answer.status === 200) return answer.bytes
  faults.push(`${method} ${JSON.stringify(params)}: ${describe(answer)}`)
  return null
}

function describe({ status, bytes }: HttpAnswer): string {
  return `${status} ${Buffer.from(bytes).toString().slice(0, 200)}`
}

async function compareExports(comparison: Comparison): Promise<void> {
  const { account, random, faults } = comparison
  const { head, did } = account
  if (head === null) return
  const order = streamOrder(account.records)
  const car = await carOf(comparison, 'getRepo', {})
  if (car === null) return
  const full = readBlocks(car)
  faults.push(...full.faults)
  const wanted = [head.commit, ...order.map(({ cid }) => cid)]
  same(faults, 'blocks of getRepo', full.order, wanted)
  const key = formatDidKey(account.key.publicKey)
  faults.push(...(await commitFaults(did, full.blocks.get(head.commit), { ...head, key })))
  const { creates } = await verifyRepoCar(car, did, key)
  same(
    faults,
    'records of getRepo',
    creates.map((one) => `${one.collection}/${one.rkey} ${one.cid.toString()}`).sort(),
    [...account.records].map(([path, { cid }]) => `${path} ${cid}`).sort(),
  )
  const checkout = await carOf(comparison, 'getCheckout', {})
  if (checkout !== null && Buffer.compare(checkout, car) !== 0) faults.push('getCheckout differs')
  const revs = shuffled(random, account.steps.slice(0, -1)).slice(0, SAMPLE)
  const former = shuffled(random, account.formerRevs).slice(0, 1)
  for (const rev of [...revs.map((step) => step.rev), ...former, head.rev, '3jzfcijpj2z2a']) {
    await compareSince(comparison, rev, order)
  }
}

/**
 * What the repository of a rev lacks must come, and every record that was written since. A node
 * that was there then comes again only if it has been away.
 */
async function compareSince(
  comparison: Comparison,
  since: string,
  whole: readonly Item[],
): Promise<void> {
  const { account, faults } = comparison
  const car = await carOf(comparison, 'getRepo', { since })
  if (car === null) return
  const { blocks, order, faults: found } = readBlocks(car)
  const told = (fault: string): void => void faults.push(`getRepo since ${since}: ${fault}`)
  for (const fault of found) told(fault)
  const commit = account.head?.commit ?? ''
  const come = whole.filter(({ cid, rev }) => (rev === null ? blocks.has(cid) : rev > since))
  same(faults, `getRepo since ${since}`, order, [commit, ...come.map(({ cid }) => cid)])
  // An import is another repository: of what was before, nothing is known.
  const imported = account.steps.findLast(({ kind }) => kind === 'import')?.rev ?? ''
  const isKnown = since >= imported && account.stepAt(since) !== null
  // Before all that is known there was nothing: the root of an empty repository is new as well.
  const known = cidsOf(isKnown ? streamOrder(account.recordsAt(since)) : [])
  for (const { cid } of whole) {
    if (!known.has(cid) && !blocks.has(cid)) told(`block ${cid} is not there`)
  }
  const again = whole.filter(({ cid, rev }) => rev === null && known.has(cid) && blocks.has(cid))
  if (again.length === 0) return
  const later = account.steps.filter(({ rev }) => rev > since)
  const states = later.map(({ rev }) => cidsOf(streamOrder(account.recordsAt(rev))))
  for (const { cid } of again) {
    if (states.every((state) => state.has(cid))) told(`node ${cid} was there all the time`)
  }
}

function cidsOf(items: readonly Item[]): Set<string> {
  return new Set(items.map(({ cid }) => cid))
}

async function compareProofs(comparison: Comparison): Promise<void> {
  const { account, random, faults } = comparison
  const { did, head } = account
  const key = formatDidKey(account.key.publicKey)
  const present = shuffled(random, [...account.records.keys()]).slice(0, SAMPLE)
  const wasThere = account.steps.flatMap(({ changes }) => [...changes.keys()])
  const absent = shuffled(
    random,
    wasThere.filter((path) => !account.records.has(path)),
  )
  const paths = [...present, ...absent.slice(0, 2), `org.example.none/${below(random, 1_000)}`]
  for (const path of paths) {
    const [collection = '', rkey = ''] = path.split('/')
    const car = await carOf(comparison, 'getRecord', { collection, rkey })
    if (car === null) continue
    const { blocks, root, faults: found } = readBlocks(car)
    faults.push(...found)
    same(
      faults,
      `root of getRecord ${path}`,
      [root, [...blocks.keys()][0]],
      [head?.commit, head?.commit],
    )
    const cid = account.records.get(path)?.cid ?? null
    if (cid !== null && !blocks.has(cid)) faults.push(`getRecord ${path}: no record`)
    const there = (await readCarWithRoot(car)).blocks.cids().find((one) => one.toString() === cid)
    const claims = [{ collection, rkey, cid: there ?? null }]
    const { verified } = await verifyProofs(car, claims, did, key)
    if (verified.length !== 1) faults.push(`getRecord ${path}: the proof is not one`)
  }
  const cids = [head?.commit ?? '', ...present.map((path) => account.records.get(path)?.cid ?? '')]
  faults.push(...(await compareBlocks(comparison.url, account, cids)))
}
