/** Repositories and proofs from Skein's repository host, as others' code sees them. */

import type { PublicKey } from '@atcute/crypto'
import { P256PublicKey, parseDidKey, Secp256k1PublicKey } from '@atcute/crypto'
import { verifyRecord } from '@atcute/repo'
import type { RecordCidClaim } from '@atproto/repo'
import {
  MemoryBlockstore,
  readCarWithRoot,
  Repo,
  verifyDiffCar,
  verifyProofs,
  verifyRecords,
  WriteOpAction,
} from '@atproto/repo'
import { parseCid } from '@atproto/lex-data'

import { queryBytes } from '../net/xrpc.ts'
import type { Account, Scene } from '../scenario/scene.ts'
import { SkeinHost } from '../world/skein-host.ts'
import type { Check } from './check.ts'
import { runCheck } from './check.ts'
import { activeAccounts } from './listings.ts'
import { exportOf, readRepo, recordDifferences, recordsByAtcute } from './repo-contents.ts'

/** Proofs asked for of each repository's records. */
const PROOFS_MAX = 60
/** What `@atcute/repo` says of a path without a record. */
const NOT_THERE = 'could not find record in car'
const CALL_TIMEOUT_MS = 10_000
/** Paths at which no repository has a record, before, among and behind all others. */
const ABSENT = ['a.a.a/a', 'app.bsky.feed.post/zzz', 'org.example.thing/n-', 'zz.zz.zz/zz']
/** The CID of an empty map, for claims that must not be believed. */
const WRONG_CID = parseCid('bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua')

/** A repository of the host that is active, with what it should hold. */
export interface Subject {
  readonly account: Account
  readonly home: SkeinHost
  readonly didKey: string
  readonly car: Uint8Array
  readonly records: ReadonlyMap<string, string>
}

/** All checks of what the host serves at the end. */
export async function checkHostRepos(scene: Scene): Promise<Check[]> {
  const subjects = await subjectsOf(scene)
  const check = (name: string, look: (subject: Subject) => Promise<string[]>): Promise<Check> =>
    runCheck(`the host's ${name}`, () => each(subjects, look))
  return [
    await check(
      'repositories hold what was written (@atproto/repo readCarWithRoot, verifyRepo)',
      whole,
    ),
    await check('repositories read the same (@atcute/repo fromUint8Array)', wholeByAtcute),
    await check(
      'exports since a rev lead there from it (@atproto/repo verifyDiffCar)',
      sinceEarlier,
    ),
    await check('proofs of inclusion (@atproto/repo verifyProofs, verifyRecords)', (subject) =>
      proofs(subject, presentPathsOf(subject.records)),
    ),
    await check('proofs of exclusion (@atproto/repo verifyProofs, verifyRecords)', (subject) =>
      proofs(subject, ABSENT),
    ),
    await check('proofs of inclusion and exclusion (@atcute/repo verifyRecord)', proofsByAtcute),
    await runCheck('relays can tell that the host is no relay', () => selfDescription(scene)),
  ]
}

/** Relays do not follow one another: they refuse who answers as one. */
async function selfDescription(scene: Scene): Promise<string[]> {
  const url = `${scene.pds('S').origin}/xrpc/com.atproto.server.describeServer`
  const response = await fetch(url, { signal: AbortSignal.timeout(CALL_TIMEOUT_MS) })
  await response.body?.cancel()
  const server = response.headers.get('server') ?? ''
  const faults = response.status === 200 ? [] : [`describeServer answers ${response.status}`]
  if (server.includes('atproto-relay')) faults.push(`its header Server is ${server}`)
  return faults
}

/** All of them, as of now. */
export async function subjectsOf(scene: Scene): Promise<Subject[]> {
  const subjects: Subject[] = []
  for (const account of await activeAccounts(scene)) {
    const { home, did } = account
    if (!(home instanceof SkeinHost)) continue
    const { verificationMethods } = await home.plc.getDocumentData(did)
    const didKey = verificationMethods['atproto'] ?? ''
    const car = await exportOf(home.origin, did)
    subjects.push({ account, home, didKey, car, records: home.records(did) })
  }
  return subjects
}

async function each(
  subjects: readonly Subject[],
  look: (subject: Subject) => Promise<string[]>,
): Promise<string[]> {
  const faults = subjects.some(({ records }) => records.size > 200) ? [] : ['no large repository']
  for (const subject of subjects) {
    const found = await look(subject)
    faults.push(...found.map((fault) => `${subject.account.name}: ${fault}`))
  }
  return faults
}

async function whole({ account, home, didKey, car, records }: Subject): Promise<string[]> {
  const contents = await readRepo(car, account.did, didKey)
  const head = await home.head(account.did)
  const faults = recordDifferences(contents.records, records)
  if (contents.root !== head.cid || contents.rev !== head.rev) faults.push('it is not of the head')
  return faults
}

function wholeByAtcute({ car, records }: Subject): Promise<string[]> {
  return Promise.resolve(recordDifferences(recordsByAtcute(car), records))
}

/** An export of an earlier rev, and what is new since then: both together are the whole. */
async function sinceEarlier({ account, home, didKey, car, records }: Subject): Promise<string[]> {
  const early = home.earlyExports.get(account.did)
  if (early === undefined) return []
  const { root, blocks } = await readCarWithRoot(early)
  const before = await Repo.load(new MemoryBlockstore(blocks), root)
  const news = await exportOf(home.origin, account.did, before.commit.rev)
  const { writes } = await verifyDiffCar(before, news, account.did, didKey)
  const after = new Map<string, string>()
  for await (const { collection, rkey, cid } of before.walkRecords()) {
    after.set(`${collection}/${rkey}`, cid.toString())
  }
  for (const write of writes) {
    const path = `${write.collection}/${write.rkey}`
    if (write.action === WriteOpAction.Delete) after.delete(path)
    else after.set(path, write.cid.toString())
  }
  const faults = recordDifferences(after, records)
  if (writes.length === 0) faults.push('nothing was written since')
  if (news.length >= car.length) faults.push('what is new is larger than the whole')
  return faults
}

async function proofs(
  { account, home, didKey, records }: Subject,
  paths: readonly string[],
): Promise<string[]> {
  const faults: string[] = []
  for (const path of paths) {
    const car = await proofOf(home, account.did, path)
    const wanted = records.get(path)
    const claim = claimOf(path, wanted === undefined ? null : parseCid(wanted))
    const { verified } = await verifyProofs(car, [claim], account.did, didKey)
    if (verified.length !== 1) faults.push(`${path} is not proven`)
    const lie = claimOf(path, wanted === undefined ? WRONG_CID : null)
    const lied = await verifyProofs(car, [lie], account.did, didKey)
    if (lied.verified.length > 0) faults.push(`the contrary of ${path} is proven`)
    const claims = await verifyRecords(car, account.did, didKey)
    const found = claims.some(({ collection, rkey }) => `${collection}/${rkey}` === path)
    if (found !== (wanted !== undefined)) faults.push(`${path} is ${found ? '' : 'not '}in it`)
  }
  return faults
}

async function proofsByAtcute({ account, home, didKey, records }: Subject): Promise<string[]> {
  const faults: string[] = []
  const publicKey = await importKey(didKey)
  for (const path of [...presentPathsOf(records), ...ABSENT]) {
    const carBytes = await proofOf(home, account.did, path)
    const { collection, rkey } = claimOf(path, null)
    const options = { did: account.did, collection, rkey, publicKey, carBytes }
    const cid = await verifyRecord(options).then(
      (verified) => verified.cid,
      // It says so after it has verified the signature.
      (error: unknown) => (String(error).includes(NOT_THERE) ? undefined : String(error)),
    )
    if (cid !== records.get(path)) faults.push(`${path}: ${cid ?? 'nothing'}`)
  }
  return faults
}

function importKey(didKey: string): Promise<PublicKey> {
  const { type, publicKeyBytes } = parseDidKey(didKey)
  return type === 'p256'
    ? P256PublicKey.importRaw(publicKeyBytes)
    : Secp256k1PublicKey.importRaw(publicKeyBytes)
}

/** Some paths with a record, evenly spread. */
function presentPathsOf(records: ReadonlyMap<string, string>): string[] {
  const step = Math.ceil(records.size / PROOFS_MAX)
  return [...records.keys()].sort().filter((_path, i) => i % step === 0)
}

function proofOf(home: SkeinHost, did: string, path: string): Promise<Uint8Array> {
  const { collection, rkey } = claimOf(path, null)
  const params = { did, collection, rkey }
  return queryBytes(home.origin, 'com.atproto.sync.getRecord', { params })
}

function claimOf(path: string, cid: RecordCidClaim['cid']): RecordCidClaim {
  const slash = path.indexOf('/')
  return { collection: path.slice(0, slash), rkey: path.slice(slash + 1), cid }
}
