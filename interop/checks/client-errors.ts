/**
 * The errors that the lexicons of `com.atproto.sync` declare, provoked at every service: Skein's
 * client tells each by its code. Where the reference names none, what it says instead is written.
 */

import { cidForRawBytes } from '@atproto/lex-data'

import type { ByteStream } from '../../src/client/calls/byte-stream.ts'
import type { SyncClient } from '../../src/client/calls/sync-client.ts'
import type { Account, Scene } from '../scenario/scene.ts'
import { clientOf, codeOf } from '../skein-client/caller.ts'
import type { Check } from './check.ts'
import { runCheck } from './check.ts'

/** Nobody's, but well-formed. */
const NOBODY = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
const UNKNOWN_HOST = { hostname: 'nobody.invalid' }
/** Seqs that no service reaches. */
const FUTURE_CURSOR = 1_000_000_000_000

/** The calls about one repository. */
const REPO_CALLS = {
  getBlob: (client, did, cid) => client.getBlob({ did, cid }),
  getBlocks: (client, did, cid) => client.getBlocks({ did, cids: [cid] }),
  getCheckout: (client, did) => client.getCheckout({ did }),
  getHead: (client, did) => client.getHead({ did }),
  getLatestCommit: (client, did) => client.getLatestCommit({ did }),
  getRecord: (client, did) => client.getRecord({ did, collection: 'a.b.c', rkey: 'a' }),
  getRepo: (client, did) => client.getRepo({ did }),
  listBlobs: (client, did) => client.listBlobsPage({ did }),
} as const satisfies Readonly<
  Record<string, (client: SyncClient, did: string, cid: string) => Promise<unknown>>
>

type RepoCall = keyof typeof REPO_CALLS

/** What calls are answered when it is not what all of them should say; the reference only. */
type Instead = Readonly<Partial<Record<RepoCall, string>>>

interface Services {
  readonly A: SyncClient
  readonly S: SyncClient
  readonly relay: SyncClient
  /** Of bytes that nobody has stored. */
  readonly cid: string
}

/** All checks of errors. Needs the accounts that the scenario leaves inactive. */
export async function checkClientErrors(relay: string, scene: Scene): Promise<Check[]> {
  const services: Services = {
    A: clientOf(scene.pds('A').origin),
    S: clientOf(scene.pds('S').origin),
    relay: clientOf(relay),
    cid: (await cidForRawBytes(Buffer.from('nobody has stored this'))).toString(),
  }
  return [
    ...(await missingRepos(services, scene)),
    ...(await inactiveRepos(services, scene)),
    ...(await missingThings(services, scene)),
    ...(await otherErrors(services)),
  ]
}

/** `HeadNotFound` is what the lexicon of getHead has in place of `RepoNotFound`. */
const HEAD_NOT_FOUND: Instead = { getHead: 'HeadNotFound' }

function missingRepos({ A, S, relay, cid }: Services, scene: Scene): Promise<Check[]> {
  const [carol, sid] = [scene.account('carol'), scene.account('sid')]
  const look = (where: string, client: SyncClient, dids: readonly string[], instead: Instead) =>
    runCheck(`client: RepoNotFound ${where}`, async () => {
      const faults = await Promise.all(
        dids.map((did) => repoErrors(client, did, cid, 'RepoNotFound', instead)),
      )
      return faults.flat()
    })
  return Promise.all([
    look('at A, for nobody and for a deleted account', A, [NOBODY, carol.did], {}),
    look(
      'at S, for nobody and for a deleted account; HeadNotFound by getHead',
      S,
      [NOBODY, sid.did],
      HEAD_NOT_FOUND,
    ),
    look(
      'at the relay, for nobody and for deleted accounts',
      relay,
      [NOBODY, carol.did, sid.did],
      {},
    ),
  ])
}

function inactiveRepos({ A, S, relay, cid }: Services, scene: Scene): Promise<Check[]> {
  const look = (code: string, where: string, client: SyncClient, account: Account) =>
    runCheck(`client: ${code} ${where}`, () => repoErrors(client, account.did, cid, code, {}))
  const [dora, sal] = [scene.account('dora'), scene.account('sal')]
  const [tess, sia] = [scene.account('tess'), scene.account('sia')]
  const sol = scene.account('sol')
  return Promise.all([
    look('RepoDeactivated', 'at A', A, dora),
    look('RepoDeactivated', 'at S', S, sal),
    look('RepoDeactivated', 'at the relay', relay, dora),
    look('RepoTakendown', 'at A', A, tess),
    look('RepoTakendown', 'at S', S, sia),
    look('RepoTakendown', 'at the relay', relay, tess),
    // The reference has no suspension.
    look('RepoSuspended', 'at S', S, sol),
    look('RepoSuspended', 'at the relay', relay, sol),
  ])
}

async function repoErrors(
  client: SyncClient,
  did: string,
  cid: string,
  code: string,
  instead: Instead,
): Promise<string[]> {
  const faults: string[] = []
  for (const call of Object.keys(REPO_CALLS) as RepoCall[]) {
    const wanted = instead[call] ?? code
    const found = await codeOf(() => REPO_CALLS[call](client, did, cid))
    if (found !== wanted) faults.push(`${call} of ${did}: ${found}, not ${wanted}`)
  }
  return faults
}

/** Every one of `calls` must end as `wanted` says. */
function row(
  name: string,
  wanted: string,
  ...calls: readonly (() => Promise<unknown>)[]
): Promise<Check> {
  return runCheck(`client: ${name}`, async () => {
    const found = await Promise.all(calls.map(codeOf))
    return found.filter((code) => code !== wanted).map((code) => `${code}, not ${wanted}`)
  })
}

/** Of accounts that are active. */
function missingThings({ A, S, relay, cid }: Services, scene: Scene): Promise<Check[]> {
  const [alice, sam] = [scene.account('alice').did, scene.account('sam').did]
  const absent = { collection: 'a.b.c', rkey: 'a' }
  return Promise.all([
    row('BlobNotFound at S', 'BlobNotFound', () => S.getBlob({ did: sam, cid })),
    row('BlobNotFound through the relay', 'BlobNotFound', () => relay.getBlob({ did: sam, cid })),
    row('a missing blob at A is InvalidRequest, as the reference says', 'InvalidRequest', () =>
      A.getBlob({ did: alice, cid }),
    ),
    row('BlockNotFound at S', 'BlockNotFound', () => S.getBlocks({ did: sam, cids: [cid] })),
    row('a missing block at A is InvalidRequest, as the reference says', 'InvalidRequest', () =>
      A.getBlocks({ did: alice, cids: [cid] }),
    ),
    // Both send the proof that there is none: RecordNotFound is never said.
    row('a missing record at A is no error but a proof', 'no error', () =>
      read(A.getRecord({ did: alice, ...absent })),
    ),
    row('a missing record at S is no error but a proof', 'no error', () =>
      read(S.getRecord({ did: sam, ...absent })),
    ),
  ])
}

async function read(answer: Promise<ByteStream>): Promise<void> {
  await (await answer).bytes()
}

/** Those that are not about a repository, and calls that a service does not have. */
function otherErrors({ A, S, relay }: Services): Promise<Check[]> {
  return Promise.all([
    row(
      'HostNotFound by getHostStatus and requestCrawl',
      'HostNotFound',
      () => relay.getHostStatus(UNKNOWN_HOST),
      () => relay.requestCrawl(UNKNOWN_HOST),
    ),
    row('FutureCursor by A, S and the relay', 'FutureCursor', ...[A, S, relay].map(future)),
    row('MethodNotImplemented for what the relay does not have', 'MethodNotImplemented', () =>
      relay.listReposByCollectionPage({ collection: 'a.b.c' }),
    ),
    row(
      'MethodNotImplemented for what S does not have',
      'MethodNotImplemented',
      ...callsOfRelays(S),
    ),
    // It would pass them on to another service, and has none.
    row(
      'InvalidRequest for what A does not have, as the reference says',
      'InvalidRequest',
      ...callsOfRelays(A),
    ),
  ])
}

/** What no host serves. */
function callsOfRelays(client: SyncClient): (() => Promise<unknown>)[] {
  return [
    () => client.listHostsPage(),
    () => client.getHostStatus(UNKNOWN_HOST),
    () => client.listReposByCollectionPage({ collection: 'a.b.c' }),
    () => client.requestCrawl(UNKNOWN_HOST),
    () => client.notifyOfUpdate(UNKNOWN_HOST),
  ]
}

function future(client: SyncClient): () => Promise<void> {
  return async () => {
    for await (const event of client.subscribeRepos({ cursor: FUTURE_CURSOR })) {
      throw new Error(`an event came: ${event.type}`)
    }
  }
}
