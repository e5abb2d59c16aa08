/** Blobs and listings of a real host, held against the model. Functions return what is wrong. */
import { fromString } from '@atcute/cid'
import type { Random } from '../../src/lib/random.ts'
import { shuffled } from '../../src/sim/distributions.ts'
import type { HostedAccount } from './hosted-account.ts'
import { readBlocks } from './real-host-events.ts'
import { answerOf, callJson, listAll } from './xrpc-call.ts'

const NSID = 'com.atproto.sync.'
/** Small, so that there are pages. */
const PAGE = '3'
const SAMPLE = 4

/** What is wrong with a value; of lists, where they part. */
export function differenceOf(what: string, found: unknown, wanted: unknown): string[] {
  const [left, right] = [JSON.stringify(found), JSON.stringify(wanted)]
  if (left === right) return []
  if (!Array.isArray(found) || !Array.isArray(wanted)) return [`${what} is ${left}, not ${right}`]
  const has = found.map((one) => JSON.stringify(one))
  const wants = wanted.map((one) => JSON.stringify(one))
  const at = wants.findIndex((text, i) => text !== has[i])
  const place = at < 0 ? wants.length : at
  const sizes = `${has.length} items, not ${wants.length}`
  return [`${what}: ${sizes}; item ${place} is ${has[place]}, not ${wants[place]}`]
}

/** In the order of the bytes. */
function inOrder(cids: Iterable<string>): string[] {
  return [...cids].sort((a, b) => Buffer.compare(fromString(a).bytes, fromString(b).bytes))
}

/** What is listed and served is what records refer to and what is there. */
export async function compareBlobs(
  url: string,
  account: HostedAccount,
  random: Random,
): Promise<string[]> {
  const { did, uploads, steps, formerRevs } = account
  const faults: string[] = []
  const served = (since?: string): string[] =>
    inOrder([...account.referredBlobs(since)].filter((cid) => uploads.has(cid)))
  const revs = shuffled(random, [...steps.map(({ rev }) => rev), ...formerRevs]).slice(0, SAMPLE)
  for (const since of [undefined, steps.at(-1)?.rev ?? '', ...revs]) {
    const params = since === undefined ? { did, limit: PAGE } : { did, limit: PAGE, since }
    const found = await listAll(url, `${NSID}listBlobs`, params, 'cids')
    faults.push(...differenceOf(`listBlobs since ${since ?? 'ever'}`, found, served(since)))
  }
  const referred = account.referredBlobs()
  const ever = new Set([...uploads.keys(), ...referred])
  for (const cid of shuffled(random, [...ever]).slice(0, SAMPLE * 2)) {
    const blob = referred.has(cid) ? uploads.get(cid) : undefined
    const { status, headers, bytes } = await answerOf(url, `${NSID}getBlob`, { did, cid })
    if (blob === undefined) {
      const text = Buffer.from(bytes).toString()
      if (status !== 400 || !text.includes('"BlobNotFound"')) {
        faults.push(`getBlob ${cid}: ${status}, not BlobNotFound`)
      }
      continue
    }
    faults.push(...differenceOf(`getBlob ${cid}`, status, 200))
    faults.push(...differenceOf(`type of ${cid}`, headers.get('content-type'), blob.mimeType))
    if (Buffer.compare(bytes, blob.bytes) !== 0) faults.push(`getBlob ${cid}: other bytes`)
  }
  return faults
}

/** Blocks that are there, all or none. */
export async function compareBlocks(
  url: string,
  account: HostedAccount,
  cids: readonly string[],
): Promise<string[]> {
  const { did, head, steps } = account
  const wanted = [...new Set(cids)]
  const { status, bytes } = await answerOf(url, `${NSID}getBlocks`, { did, cids: wanted })
  if (status !== 200) return [`getBlocks: ${status} ${Buffer.from(bytes).toString()}`]
  const { roots, blocks, faults } = readBlocks(bytes)
  const found = [...faults, ...differenceOf('getBlocks', [...blocks.keys()], wanted)]
  found.push(...differenceOf('roots of getBlocks', roots, 0))
  const old = steps.at(-2)?.commit
  if (old === undefined || head === null) return found
  const refused = await callJson(url, `${NSID}getBlocks`, { did, cids: [head.commit, old] })
  const name = `${refused.status} ${String(Object(refused.body).error)}`
  return [...found, ...differenceOf('getBlocks of an old commit', name, '400 BlockNotFound')]
}

/** All repositories in order of their creation, those that are not served too. */
export async function compareListRepos(
  url: string,
  accounts: readonly HostedAccount[],
): Promise<string[]> {
  const wanted: object[] = []
  for (const { did, head, status } of accounts) {
    if (head === null) continue
    const repo = { did, head: head.commit, rev: head.rev }
    wanted.push(
      status === 'active' ? { ...repo, active: true } : { ...repo, active: false, status },
    )
  }
  const found = await listAll(url, `${NSID}listRepos`, { limit: PAGE }, 'repos')
  return differenceOf('listRepos', found, wanted)
}

/** Nobody has heard of it. */
export async function compareUnknown(url: string): Promise<string[]> {
  const did = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
  const faults: string[] = []
  for (const method of ['getRepo', 'getLatestCommit', 'getRepoStatus', 'listBlobs', 'getHead']) {
    const { status, body } = await callJson(url, NSID + method, { did })
    const wanted = `400 ${method === 'getHead' ? 'HeadNotFound' : 'RepoNotFound'}`
    faults.push(...differenceOf(method, `${status} ${String(Object(body).error)}`, wanted))
  }
  return faults
}
