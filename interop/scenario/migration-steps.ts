/** An account moves from PDS A to PDS B. */

import { bearer, procedure, query, queryBytes, textAt } from '../net/xrpc.ts'
import type { RealPds } from '../world/pds.ts'
import { SkeinHost } from '../world/skein-host.ts'
import { deactivate, deleteAccount } from './account-steps.ts'
import type { Account } from './scene.ts'
import { callAs, createRecord } from './scene.ts'
import type { Step } from './step.ts'

const THING = 'org.example.thing'
/** Why the former home is not believed. */
export const HOST_CHANGED =
  'the DID document names another PDS, so this one no longer speaks for it'

/** Why the first #sync of a real PDS after an import is not believed. */
export const REV_OF_IMPORT: string =
  "its rev is that of the import, not the commit's, and the commit is signed with the key of the " +
  'former home, which the DID document no longer holds'

export const migrationSteps: readonly Step[] = [
  {
    name: 'migration: records at A',
    eventCount: 3,
    async run(scene) {
      for (const n of [1, 2, 3]) await createRecord(scene.account('mia'), THING, { n })
    },
  },
  {
    name: 'migration: inactive account at B, import, new DID document',
    eventCount: 0,
    async run(scene) {
      const mia = scene.account('mia')
      const oldHome = scene.pds('A')
      const newHome = scene.pds('B')
      const session = await createAccountAt(mia, newHome)
      const authorization = bearer(textAt(session, 'accessJwt'))
      const car = await queryBytes(oldHome.origin, 'com.atproto.sync.getRepo', {
        params: { did: mia.did },
      })
      await importAt(newHome, car, authorization)
      await pointDidAt(mia, newHome, authorization)
    },
  },
  {
    name: 'migration: activate at B',
    eventCount: 3,
    refusals: [
      {
        pds: 'B',
        type: '#sync',
        reason: REV_OF_IMPORT,
      },
    ],
    async run(scene) {
      await callAs(scene.account('mia'), 'com.atproto.server.activateAccount', null)
    },
  },
  {
    name: 'migration: first write at B',
    eventCount: 1,
    async run(scene) {
      await createRecord(scene.account('mia'), THING, { n: 4 })
    },
  },
  {
    name: 'migration: deactivate at A',
    eventCount: 1,
    refusals: [{ pds: 'A', type: '#account', reason: HOST_CHANGED }],
    run: async (scene) => deactivate(await asOldAccount(scene.account('mia'), scene.pds('A'))),
  },
  {
    name: 'migration: second write at B, new handle',
    eventCount: 2,
    async run(scene) {
      const mia = scene.account('mia')
      await createRecord(mia, THING, { n: 5 })
      await callAs(mia, 'com.atproto.identity.updateHandle', { handle: 'mia2.test' })
    },
  },
  {
    name: 'migration: delete at A',
    eventCount: 1,
    refusals: [{ pds: 'A', type: '#account', reason: HOST_CHANGED }],
    run: async (scene) => deleteAccount(await asOldAccount(scene.account('mia'), scene.pds('A'))),
  },
  {
    name: 'migration: third write at B',
    eventCount: 1,
    async run(scene) {
      await createRecord(scene.account('mia'), THING, { n: 6 })
    },
  },
]

/** Imports a repository into the account of a session. */
export async function importAt(
  pds: RealPds,
  car: Uint8Array,
  authorization: string,
): Promise<void> {
  await procedure(pds.origin, 'com.atproto.repo.importRepo', new Uint8Array(car), {
    authorization,
    contentType: 'application/vnd.ipld.car',
  })
}

/** Changes the DID document to what the new home recommends: from then on it is the home. */
export async function pointDidAt(
  account: Account,
  newHome: RealPds,
  authorization: string,
): Promise<void> {
  const credentials = await query(
    newHome.origin,
    'com.atproto.identity.getRecommendedDidCredentials',
    { authorization },
  )
  const { plcClient, plcRotationKey } = newHome.ctx
  await plcClient.updateData(account.did, plcRotationKey, (last) => ({ ...last, ...credentials }))
  account.home = newHome
  account.authorization = authorization
}

/** Creates the account at another PDS, inactive, on the word of its present home. */
export async function createAccountAt(
  account: Account,
  newHome: RealPds,
): Promise<Record<string, unknown>> {
  const nsid = 'com.atproto.server.createAccount'
  const token = await serviceAuth(account, newHome.serviceDid, nsid)
  return procedure(
    newHome.origin,
    nsid,
    {
      did: account.did,
      handle: account.handle,
      email: `${account.name}@example.com`,
      password: account.password,
    },
    { authorization: bearer(token) },
  )
}

async function serviceAuth(account: Account, aud: string, lxm: string): Promise<string> {
  const { home, did, authorization } = account
  if (home instanceof SkeinHost) return home.serviceAuth(did, aud, lxm)
  const answer = await query(home.origin, 'com.atproto.server.getServiceAuth', {
    authorization,
    params: { aud, lxm },
  })
  return textAt(answer, 'token')
}

/** The account as it still stands at its former home, with a session there. */
export async function asOldAccount(account: Account, home: RealPds): Promise<Account> {
  const session = await procedure(home.origin, 'com.atproto.server.createSession', {
    identifier: account.did,
    password: account.password,
  })
  return { ...account, home, authorization: bearer(textAt(session, 'accessJwt')) }
}
