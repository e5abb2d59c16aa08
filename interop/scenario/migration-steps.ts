/** An account moves from PDS A to PDS B. */

import { bearer, procedure, query, queryBytes, textAt } from '../net/xrpc.ts'
import { deactivate, deleteAccount } from './account-steps.ts'
import type { Account } from './scene.ts'
import { callAs, createRecord } from './scene.ts'
import type { Step } from './step.ts'

const THING = 'org.example.thing'
const HOST_CHANGED = 'the DID document names PDS B as the host, so PDS A no longer speaks for it'

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
      const oldHome = mia.home
      const newHome = scene.pds('B')
      const session = await createAccountAt(mia, newHome)
      const authorization = bearer(textAt(session, 'accessJwt'))
      const car = await queryBytes(oldHome.origin, 'com.atproto.sync.getRepo', {
        params: { did: mia.did },
      })
      await procedure(newHome.origin, 'com.atproto.repo.importRepo', new Uint8Array(car), {
        authorization,
        contentType: 'application/vnd.ipld.car',
      })
      const credentials = await query(
        newHome.origin,
        'com.atproto.identity.getRecommendedDidCredentials',
        { authorization },
      )
      await oldHome.ctx.plcClient.updateData(mia.did, oldHome.ctx.plcRotationKey, (last) => ({
        ...last,
        ...credentials,
      }))
      mia.home = newHome
      mia.authorization = authorization
    },
  },
  {
    name: 'migration: activate at B',
    eventCount: 3,
    refusals: [
      {
        pds: 'B',
        type: '#sync',
        reason:
          "its rev is that of the import, not the commit's, and the commit is signed with the " +
          'key of PDS A, which the DID document no longer holds',
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

/** Creates the account at another PDS, inactive, on the word of its present home. */
async function createAccountAt(
  account: Account,
  newHome: Account['home'],
): Promise<Record<string, unknown>> {
  const nsid = 'com.atproto.server.createAccount'
  const { token } = await query(account.home.origin, 'com.atproto.server.getServiceAuth', {
    authorization: account.authorization,
    params: { aud: newHome.serviceDid, lxm: nsid },
  })
  return procedure(
    newHome.origin,
    nsid,
    {
      did: account.did,
      handle: account.handle,
      email: `${account.name}@example.com`,
      password: account.password,
    },
    { authorization: bearer(String(token)) },
  )
}

/** The account as it still stands at its former home, with a session there. */
async function asOldAccount(account: Account, home: Account['home']): Promise<Account> {
  const session = await procedure(home.origin, 'com.atproto.server.createSession', {
    identifier: account.did,
    password: account.password,
  })
  return { ...account, home, authorization: bearer(textAt(session, 'accessJwt')) }
}
