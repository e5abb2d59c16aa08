/** Accounts that move between Skein's repository host and real PDSes, in both directions. */

import { blobRefusal, blobsReferredTo, servedDifferences } from '../checks/blobs.ts'
import { checkOf } from '../checks/check.ts'
import { exportOf, readRepo, recordDifferences } from '../checks/repo-contents.ts'
import { bearer, textAt } from '../net/xrpc.ts'
import { deactivate } from './account-steps.ts'
import type { Blobs } from './blob-moves.ts'
import {
  compareBlobs,
  fetchBlobs,
  moveBlobsToHost,
  moveBlobsToPds,
  placeOf,
  uploadSamples,
} from './blob-moves.ts'
import { SAMPLES } from './blob-samples.ts'
import {
  asOldAccount,
  createAccountAt,
  HOST_CHANGED,
  importAt,
  pointDidAt,
  REV_OF_IMPORT,
} from './migration-steps.ts'
import type { Account, Scene } from './scene.ts'
import { applyWrites, callAs, createRecord, deleteRecord } from './scene.ts'
import type { Step } from './step.ts'

const THING = 'org.example.thing'
/** Records of a repository that moves; enough for a tree of several levels. */
const RECORDS = 150
/** Those, one more, and one for each blob. */
const RECORDS_MOVED = RECORDS + 1 + SAMPLES.length

interface Left {
  readonly car: Uint8Array
  /** The key that it is signed with. */
  readonly didKey: string
  readonly blobs: Blobs
}

/** What an account's former home served last. */
const left = new WeakMap<Account, Left>()

const outSteps: readonly Step[] = [
  {
    name: 'host to PDS: an account with records and blobs at the host',
    eventCount: 7,
    async run(scene) {
      await fill(await scene.createHosted('nia'))
    },
  },
  {
    name: 'host to PDS: inactive account at B, importRepo, blobs, new DID document',
    eventCount: 0,
    async run(scene) {
      const nia = scene.account('nia')
      const session = await createAccountAt(nia, scene.pds('B'))
      const authorization = bearer(textAt(session, 'accessJwt'))
      const pds = scene.pds('B')
      const { car, blobs } = await leave(scene, nia)
      await importAt(pds, car, authorization)
      await moveBlobsToPds(scene, nia, { pds, authorization }, blobs)
      await pointDidAt(nia, pds, authorization)
    },
  },
  {
    name: 'host to PDS: activate at B',
    eventCount: 3,
    refusals: [{ pds: 'B', type: '#sync', reason: REV_OF_IMPORT }],
    async run(scene) {
      const nia = scene.account('nia')
      await callAs(nia, 'com.atproto.server.activateAccount', null)
      // The PDS signs nothing before the first write.
      await compareRoots(scene, nia, left.get(nia)?.didKey ?? '')
    },
  },
  {
    name: 'host to PDS: deactivate at the host',
    eventCount: 1,
    refusals: [{ pds: 'S', type: '#account', reason: HOST_CHANGED }],
    run: (scene) => scene.pds('S').setStatus(scene.account('nia').did, 'deactivated'),
  },
  {
    name: 'host to PDS: first writes at B',
    eventCount: 2,
    run: (scene) => writeAtNewHome(scene, scene.account('nia')),
  },
]

const inSteps: readonly Step[] = [
  {
    name: 'PDS to host: an account with records and blobs at A',
    eventCount: 7,
    async run(scene) {
      await fill(await scene.createAccount('moe', 'A'))
    },
  },
  {
    name: 'PDS to host: inactive account at the host, import, blobs, new DID document',
    eventCount: 0,
    async run(scene) {
      const moe = scene.account('moe')
      const host = scene.pds('S')
      await host.createIncoming(moe.did, moe.handle, 'p256')
      const { car, didKey, blobs } = await leave(scene, moe)
      await host.importRepo(moe.did, car, didKey)
      await moveBlobsToHost(scene, moe, host, blobs)
      await host.pointDidHere(moe.did)
      moe.home = host
    },
  },
  {
    name: 'PDS to host: activate at the host',
    eventCount: 3,
    async run(scene) {
      const moe = scene.account('moe')
      await scene.pds('S').setStatus(moe.did, 'active')
      await compareRoots(scene, moe, await keyOf(scene, moe))
    },
  },
  {
    name: 'PDS to host: deactivate at A',
    eventCount: 1,
    refusals: [{ pds: 'A', type: '#account', reason: HOST_CHANGED }],
    run: async (scene) => deactivate(await asOldAccount(scene.account('moe'), scene.pds('A'))),
  },
  {
    name: 'PDS to host: first writes at the host',
    eventCount: 2,
    run: (scene) => writeAtNewHome(scene, scene.account('moe')),
  },
]

export const hostMoveSteps: readonly Step[] = [...outSteps, ...inSteps]

/** Three commits. */
async function fill(account: Account): Promise<void> {
  const writes = Array.from({ length: RECORDS }, (_, n) => {
    return { action: 'create', path: `${THING}/n${n}`, value: { n } } as const
  })
  await applyWrites(account, writes)
  await createRecord(account, THING, { n: -1 }, 'last')
  await applyWrites(account, await uploadSamples(account, THING))
}

/** Exports the account and its blobs from the home that it is about to leave. */
async function leave(scene: Scene, account: Account): Promise<Left> {
  const car = await exportOf(account.home.origin, account.did)
  const references = await blobsReferredTo(car)
  const blobs = await fetchBlobs(account, references.keys())
  const now = { car, didKey: await keyOf(scene, account), blobs }
  left.set(account, now)
  return now
}

/** The key in the DID document. */
async function keyOf(scene: Scene, { did }: Account): Promise<string> {
  const { verificationMethods } = await scene.pds('S').plc.getDocumentData(did)
  return verificationMethods['atproto'] ?? ''
}

/** The tree at the new home must be the one that left the old home; both must verify. */
async function compareRoots(scene: Scene, account: Account, didKey: string): Promise<void> {
  const former = left.get(account)
  if (former === undefined) throw new Error(`${account.name} has not left`)
  const before = await readRepo(former.car, account.did, former.didKey)
  const car = await exportOf(account.home.origin, account.did)
  const after = await readRepo(car, account.did, didKey)
  const faults = recordDifferences(after.records, before.records)
  if (after.data !== before.data) faults.push(`root ${before.data} became ${after.data}`)
  const { size } = before.records
  if (size !== RECORDS_MOVED) faults.push(`${size} records have moved`)
  const place = placeOf(account.home)
  const blobFaults = await compareBlobs(account, former.blobs, await blobsReferredTo(car))
  scene.checks.push(
    checkOf(`importRepo into ${place}: the repository has the same root`, faults),
    checkOf(`blobs moved to ${place} have the same bytes, CIDs and MIME types`, blobFaults),
  )
}

/**
 * Writes, and verifies the repository under the key that the DID document names now. Each sample
 * has one record, so with the record the blob goes.
 */
async function writeAtNewHome(scene: Scene, account: Account): Promise<void> {
  const { did, home } = account
  const place = placeOf(home)
  await createRecord(account, THING, { n: RECORDS }, 'new')
  const before = await exportOf(home.origin, did)
  const { records } = await readRepo(before, did, await keyOf(scene, account))
  const faults = records.size === RECORDS_MOVED + 1 ? [] : [`it has ${records.size} records`]
  await deleteRecord(account, `${THING}/blob0`)
  const references = await blobsReferredTo(await exportOf(home.origin, did))
  const blobFaults = await servedDifferences(home.origin, did, references)
  const gone = [...(await blobsReferredTo(before)).keys()].filter((cid) => !references.has(cid))
  if (gone.length !== 1) blobFaults.push(`${gone.length} blobs are referred to no more`)
  for (const cid of gone) blobFaults.push(...(await blobRefusal(home.origin, did, cid)))
  scene.checks.push(
    checkOf(`a repository moved to ${place} verifies after its first write there`, faults),
    checkOf(`a blob moved to ${place} goes with its record, the others stay`, blobFaults),
  )
}
