/**
 * What Skein's client verifies, beside what `@atproto/repo` reads: records and absences by proof,
 * whole repositories in the block order of either implementation, blobs by CID.
 */

import { MemoryBlockstore, readCarWithRoot, Repo } from '@atproto/repo'
import { cidForLex, encode } from '@atproto/lex-cbor'

import type { SyncClient } from '../../src/client/calls/sync-client.ts'
import type { VerifiedRepo } from '../../src/client/calls/verified-client.ts'
import type { Account, Scene } from '../scenario/scene.ts'
import { clientOf, codeOf, listOf, openIdentities } from '../skein-client/caller.ts'
import type { Check } from './check.ts'
import { runCheck } from './check.ts'
import { activeAccounts } from './listings.ts'
import { exportOf, readRepo, recordDifferences } from './repo-contents.ts'

/** Proofs asked for of each repository's records. */
const PROOFS_MAX = 20
/** Paths at which no repository has a record, before, among and behind all others. */
const ABSENT = ['a.a.a/a', 'app.bsky.feed.post/zzz', 'org.example.thing/n-', 'zz.zz.zz/zz']

/** A record as the reference reads it. */
interface WantedRecord {
  readonly cid: string
  readonly bytes: Uint8Array
}

/** An active repository at a service that answers for it, and what it holds by `@atproto/repo`. */
interface Subject {
  /** For people. */
  readonly name: string
  readonly account: Account
  readonly client: SyncClient
  readonly root: string
  readonly rev: string
  readonly data: string
  readonly records: ReadonlyMap<string, WantedRecord>
}

/** All checks of proofs. `relay` is the relay's origin. */
export async function checkClientProofs(relay: string, scene: Scene): Promise<Check[]> {
  const identities = openIdentities(scene.world.plc.url)
  const open = (origin: string): SyncClient => clientOf(origin, { identities })
  const subjects = await subjectsOf(relay, scene, open)
  const row = (name: string, look: (subject: Subject) => Promise<string[]>): Promise<Check> =>
    runCheck(`client: ${name}, at A, B, S and through the relay`, () => each(subjects, look))
  try {
    return [
      await row('verified.getRecord proves what @atproto/repo reads', inclusions),
      await row('verified.getRecord proves absences', absences),
      await row('verified.getRepo gives the records that @atproto/repo reads', whole),
      await row('verified.getRepo of one collection gives those of it', ofCollections),
      await runCheck('client: verified calls refuse what another key has signed', () =>
        foreignKey(scene, open),
      ),
    ]
  } finally {
    await identities.close()
  }
}

async function subjectsOf(
  relay: string,
  scene: Scene,
  open: (origin: string) => SyncClient,
): Promise<Subject[]> {
  const subjects: Subject[] = []
  for (const account of await activeAccounts(scene)) {
    const { home, did, name } = account
    const car = await exportOf(home.origin, did)
    const { verificationMethods } = await scene.pds('S').plc.getDocumentData(did)
    const contents = await readRepo(car, did, verificationMethods['atproto'] ?? '')
    const common = { account, ...contents, records: await recordsOf(car) }
    const read = new Map([...common.records].map(([path, { cid }]) => [path, cid]))
    const doubts = recordDifferences(read, contents.records)
    if (doubts.length > 0) throw new Error(`@atproto/repo contradicts itself: ${doubts.join()}`)
    subjects.push(
      { ...common, name: `${name} at ${home.name}`, client: open(home.origin) },
      { ...common, name: `${name} through the relay`, client: open(relay) },
    )
  }
  return subjects
}

async function recordsOf(car: Uint8Array): Promise<Map<string, WantedRecord>> {
  const { root, blocks } = await readCarWithRoot(car)
  const repo = await Repo.load(new MemoryBlockstore(blocks), root)
  const records = new Map<string, WantedRecord>()
  for await (const { collection, rkey, cid, record } of repo.walkRecords()) {
    const bytes = encode(record)
    if (!cid.equals(await cidForLex(record))) throw new Error('a record is not canonical')
    records.set(`${collection}/${rkey}`, { cid: cid.toString(), bytes })
  }
  return records
}

async function each(
  subjects: readonly Subject[],
  look: (subject: Subject) => Promise<string[]>,
): Promise<string[]> {
  const faults = subjects.some(({ records }) => records.size > 150) ? [] : ['no large repository']
  for (const subject of subjects) {
    const found = await look(subject)
    faults.push(...found.map((fault) => `${subject.name}: ${fault}`))
  }
  return faults
}

async function inclusions({ account, client, rev, records }: Subject): Promise<string[]> {
  const faults: string[] = []
  const step = Math.ceil(records.size / PROOFS_MAX)
  for (const [i, [path, wanted]] of [...records].entries()) {
    if (i % step !== 0) continue
    const proven = await client.verified.getRecord({ did: account.did, ...split(path) })
    if (proven.cid !== wanted.cid) faults.push(`${path} is ${proven.cid ?? 'nothing'}`)
    if (proven.rev !== rev) faults.push(`${path}: rev ${proven.rev}, not ${rev}`)
    if (proven.bytes === null) continue
    if (Buffer.compare(proven.bytes, wanted.bytes) !== 0) faults.push(`${path} has other bytes`)
    if (!proven.record.valid) faults.push(`${path} is said to be no record`)
  }
  return faults
}

async function absences({ account, client, rev }: Subject): Promise<string[]> {
  const faults: string[] = []
  for (const path of ABSENT) {
    const proven = await client.verified.getRecord({ did: account.did, ...split(path) })
    if (proven.cid !== null) faults.push(`${path} is ${proven.cid}`)
    if (proven.rev !== rev) faults.push(`${path}: rev ${proven.rev}, not ${rev}`)
  }
  return faults
}

async function whole({ account, client, records, ...wanted }: Subject): Promise<string[]> {
  const repo = await client.verified.getRepo({ did: account.did })
  const faults = await differences(repo, records)
  if (repo.commit !== wanted.root) faults.push(`commit ${repo.commit}, not ${wanted.root}`)
  if (repo.rev !== wanted.rev) faults.push(`rev ${repo.rev}, not ${wanted.rev}`)
  if (repo.data !== wanted.data) faults.push(`data ${repo.data}, not ${wanted.data}`)
  return faults
}

async function ofCollections({ account, client, records }: Subject): Promise<string[]> {
  const collections = ['app.bsky.*', 'org.example.other']
  const repo = await client.verified.getRepo({ did: account.did }, { collections })
  const wanted = [...records].filter(([path]) =>
    /^(?:app\.bsky\.|org\.example\.other\/)/.test(path),
  )
  return differences(repo, new Map(wanted))
}

/** Also that records come in the order of their paths. */
async function differences(
  repo: VerifiedRepo,
  wanted: ReadonlyMap<string, WantedRecord>,
): Promise<string[]> {
  const found = await listOf(repo.records)
  const faults = recordDifferences(
    new Map(found.map(({ path, cid }) => [path, cid])),
    new Map([...wanted].map(([path, { cid }]) => [path, cid])),
  )
  if (found.some(({ path }, i) => i > 0 && path <= (found[i - 1]?.path ?? ''))) {
    faults.push('the paths do not rise')
  }
  for (const { path, bytes } of found) {
    const there = wanted.get(path)?.bytes
    if (there !== undefined && Buffer.compare(bytes, there) !== 0) faults.push(`bytes of ${path}`)
  }
  return faults
}

async function foreignKey(scene: Scene, open: (origin: string) => SyncClient): Promise<string[]> {
  const identities = openIdentities(scene.world.plc.url)
  const [alice, bob] = [scene.account('alice'), scene.account('bob')]
  // What stands for alice in this directory is bob's document.
  const wrong = {
    resolve: (did: string) => identities.resolve(did === alice.did ? bob.did : did),
    refresh: (did: string) => identities.resolve(did === alice.did ? bob.did : did),
  }
  const client = clientOf(alice.home.origin, { identities: wrong })
  const { did } = alice
  try {
    const calls: [string, () => Promise<unknown>][] = [
      ['getRecord', () => client.verified.getRecord({ did, ...split(ABSENT[0] ?? '') })],
      ['getRepo', () => client.verified.getRepo({ did })],
    ]
    const faults: string[] = []
    for (const [name, call] of calls) {
      const code = await codeOf(call)
      if (code !== 'Unverified') faults.push(`${name}: ${code}, not Unverified`)
    }
    const good = await codeOf(() =>
      open(alice.home.origin).verified.getRecord({ did, ...split(ABSENT[0] ?? '') }),
    )
    if (good !== 'no error') faults.push(`with the right key: ${good}`)
    return faults
  } finally {
    await identities.close()
  }
}

function split(path: string): { readonly collection: string; readonly rkey: string } {
  const slash = path.indexOf('/')
  return { collection: path.slice(0, slash), rkey: path.slice(slash + 1) }
}
