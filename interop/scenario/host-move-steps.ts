/** Accounts that move between Skein's repository host and real PDSes, in both directions. */

import { checkOf } from '../checks/check.ts'
import { exportOf, readRepo, recordDifferences } from '../checks/repo-contents.ts'
import { bearer, textAt } from '../net/xrpc.ts'
import type { Pds } from '../world/pds.ts'
import { deactivate } from './account-steps.ts'
import {
  asOldAccount,
  createAccountAt,
  HOST_CHANGED,
  importAt,
  pointDidAt,
  REV_OF_IMPORT,
} from './migration-steps.ts'
import type { Account, Scene } from './scene.ts'
import { applyWrites, callAs, createRecord } from './scene.ts'
import type { Step } from './step.ts'

const THING = 'org.example.thing'
/** Records of a repository that moves; enough for a tree of several levels. */
const RECORDS = 150

/** What an account's former home served last, with the key of then. */
const left = new WeakMap<Account, { readonly car: Uint8Array; readonly didKey: string }>()

const outSteps: readonly Step[] = [
  {
    name: 'host to PDS: an account with records at the host',
    eventCount: 6,
    async run(scene) {
      await fill(await scene.createHosted('nia'))
    },
  },
  {
    name: 'host to PDS: inactive account at B, importRepo, new DID document',
    eventCount: 0,
    async run(scene) {
      const nia = scene.account('nia')
      const session = await createAccountAt(nia, scene.pds('B'))
      const authorization = bearer(textAt(session, 'accessJwt'))
      await importAt(scene.pds('B'), await leave(scene, nia), authorization)
      await pointDidAt(nia, scene.pds('B'), authorization)
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
    name: 'host to PDS: first write at B',
    eventCount: 1,
    run: (scene) => writeAtNewHome(scene, scene.account('nia')),
  },
]

const inSteps: readonly Step[] = [
  {
    name: 'PDS to host: an account with records at A',
    eventCount: 6,
    async run(scene) {
      await fill(await scene.createAccount('moe', 'A'))
    },
  },
  {
    name: 'PDS to host: inactive account at the host, import, new DID document',
    eventCount: 0,
    async run(scene) {
      const moe = scene.account('moe')
      const host = scene.pds('S')
      await host.createIncoming(moe.did, moe.handle, 'p256')
      const car = await leave(scene, moe)
      await host.importRepo(moe.did, car, left.get(moe)?.didKey ?? '')
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
    name: 'PDS to host: first write at the host',
    eventCount: 1,
    run: (scene) => writeAtNewHome(scene, scene.account('moe')),
  },
]

export const hostMoveSteps: readonly Step[] = [...outSteps, ...inSteps]

/** Two commits. */
async function fill(account: Account): Promise<void> {
  const writes = Array.from({ length: RECORDS }, (_, n) => {
    return { action: 'create', path: `${THING}/n${n}`, value: { n } } as const
  })
  await applyWrites(account, writes)
  await createRecord(account, THING, { n: -1 }, 'last')
}

/** Exports the account from the home that it is about to leave. */
async function leave(scene: Scene, account: Account): Promise<Uint8Array> {
  const car = await exportOf(account.home.origin, account.did)
  left.set(account, { car, didKey: await keyOf(scene, account) })
  return car
}

/** The key in the DID document. */
async function keyOf(scene: Scene, { did }: Account): Promise<string> {
  const { verificationMethods } = await scene.pds('S').plc.getDocumentData(did)
  return verificationMethods['atproto'] ?? ''
}

const placeOf = (pds: Pds): string => (pds.name === 'S' ? 'the host' : 'a PDS')

/** The tree at the new home must be the one that left the old home; both must verify. */
async function compareRoots(scene: Scene, account: Account, didKey: string): Promise<void> {
  const former = left.get(account)
  if (former === undefined) throw new Error(`${account.name} has not left`)
  const before = await readRepo(former.car, account.did, former.didKey)
  const after = await readRepo(
    await exportOf(account.home.origin, account.did),
    account.did,
    didKey,
  )
  const faults = recordDifferences(after.records, before.records)
  if (after.data !== before.data) faults.push(`root ${before.data} became ${after.data}`)
  if (before.records.size !== RECORDS + 1) faults.push(`${before.records.size} records have moved`)
  const name = `a repository imported into ${placeOf(account.home)} has the same root`
  scene.checks.push(checkOf(name, faults))
}

/** Writes, and verifies the repository under the key that the DID document names now. */
async function writeAtNewHome(scene: Scene, account: Account): Promise<void> {
  await createRecord(account, THING, { n: RECORDS }, 'new')
  const car = await exportOf(account.home.origin, account.did)
  const { records } = await readRepo(car, account.did, await keyOf(scene, account))
  const faults = records.size === RECORDS + 2 ? [] : [`it has ${records.size} records`]
  const name = `a repository moved to ${placeOf(account.home)} verifies after its first write there`
  scene.checks.push(checkOf(name, faults))
}
