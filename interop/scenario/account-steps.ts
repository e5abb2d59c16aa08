/** What happens to accounts: creation, handles, keys, status and deletion. */

import { Secp256k1Keypair } from '@atproto/crypto'
import { writeFile } from 'node:fs/promises'

import { procedure } from '../net/xrpc.ts'
import type { RealPds } from '../world/pds.ts'
import { adminAuthorization } from '../world/pds.ts'
import { SkeinHost } from '../world/skein-host.ts'
import type { Account } from './scene.ts'
import { callAs, createRecord, post } from './scene.ts'
import type { Step } from './step.ts'

/** Accounts that the later steps use, by home. */
const ACCOUNTS = {
  A: ['alice', 'bob', 'carol', 'dora', 'tess', 'mia', 'zoe'],
  B: ['bea', 'ben'],
} as const

/** Events of a new account: #identity, #account, #commit, #sync. */
const EVENTS_PER_ACCOUNT = 4

const POST = 'app.bsky.feed.post'

/** Steps before any record is written. */
export const creationSteps: readonly Step[] = [
  {
    name: 'create accounts',
    eventCount: EVENTS_PER_ACCOUNT * (ACCOUNTS.A.length + ACCOUNTS.B.length),
    async run(scene) {
      for (const name of ACCOUNTS.A) await scene.createAccount(name, 'A')
      for (const name of ACCOUNTS.B) await scene.createAccount(name, 'B')
    },
  },
]

/** Steps that change accounts and leave them active. */
export const accountSteps: readonly Step[] = [
  {
    name: 'change a handle',
    eventCount: 1,
    async run(scene) {
      await changeHandle(scene.account('alice'), 'alice2.test')
    },
  },
  {
    name: 'announce an unchanged handle',
    eventCount: 1,
    async run(scene) {
      await changeHandle(scene.account('alice'), 'alice2.test')
    },
  },
  {
    name: 'announce an identity without a handle',
    eventCount: 1,
    async run(scene) {
      await scene.pds('A').ctx.sequencer.sequenceIdentity(scene.account('alice').did)
    },
  },
  {
    name: 'deactivate an account',
    eventCount: 1,
    run: (scene) => deactivate(scene.account('bob')),
  },
  {
    name: 'activate it again, then write',
    eventCount: 4,
    async run(scene) {
      const bob = scene.account('bob')
      await callAs(bob, 'com.atproto.server.activateAccount', null)
      await createRecord(bob, 'org.example.thing', { n: 1 })
    },
  },
  {
    name: 'take an account down',
    eventCount: 1,
    run: (scene) => setTakedown(scene.account('alice'), 'applied'),
  },
  {
    name: 'reverse the takedown, then write',
    eventCount: 2,
    async run(scene) {
      const alice = scene.account('alice')
      await setTakedown(alice, 'reversed')
      await scene.logIn(alice)
      await createRecord(alice, POST, post('back'))
    },
  },
  {
    name: 'rotate a signing key, then write',
    eventCount: 3,
    async run(scene) {
      const bea = scene.account('bea')
      await rotateSigningKey(bea, scene.pds('B'))
      await createRecord(bea, POST, post('signed with the new key'))
    },
  },
]

/** Steps that leave accounts inactive, for what the relay then answers and replays. */
export const endingSteps: readonly Step[] = [
  {
    // A step of its own: the PDS forgets what it has not yet sent when the account is deleted.
    name: 'write as an account that is going to be deleted',
    eventCount: 1,
    async run(scene) {
      await createRecord(scene.account('carol'), POST, post('the last one'))
    },
  },
  {
    name: 'delete an account',
    eventCount: 1,
    async run(scene) {
      const carol = scene.account('carol')
      await deleteAccount(carol)
      carol.deleted = true
    },
  },
  {
    name: 'leave an account deactivated',
    eventCount: 2,
    async run(scene) {
      const dora = scene.account('dora')
      await createRecord(dora, POST, post('for now'))
      await deactivate(dora)
    },
  },
  {
    name: 'leave an account taken down',
    eventCount: 2,
    async run(scene) {
      const tess = scene.account('tess')
      await createRecord(tess, POST, post('not allowed'))
      await setTakedown(tess, 'applied')
    },
  },
]

/** Changes an account's handle, in the directory as well. */
export async function changeHandle(account: Account, handle: string): Promise<void> {
  if (account.home instanceof SkeinHost) await account.home.updateHandle(account.did, handle)
  else await callAs(account, 'com.atproto.identity.updateHandle', { handle })
  account.handle = handle
}

/** Deactivates an account at its home. */
export async function deactivate(account: Account): Promise<void> {
  await callAs(account, 'com.atproto.server.deactivateAccount', {})
}

/** Deletes an account at its home, as its administrator; by its user it would need e-mail. */
export async function deleteAccount(account: Account): Promise<void> {
  await procedure(
    account.home.origin,
    'com.atproto.admin.deleteAccount',
    { did: account.did },
    { authorization: adminAuthorization },
  )
}

async function setTakedown(account: Account, takedown: 'applied' | 'reversed'): Promise<void> {
  await procedure(
    account.home.origin,
    'com.atproto.admin.updateSubjectStatus',
    {
      subject: { $type: 'com.atproto.admin.defs#repoRef', did: account.did },
      takedown: takedown === 'applied' ? { applied: true, ref: 'interop' } : { applied: false },
    },
    { authorization: adminAuthorization },
  )
}

/**
 * Gives an account a new signing key, in the way of the PDS's own script: key file, directory, an
 * empty commit that is not announced, #identity, #sync.
 */
async function rotateSigningKey({ did }: Account, { ctx }: RealPds): Promise<void> {
  const key = await Secp256k1Keypair.create({ exportable: true })
  const { keyLocation } = await ctx.actorStore.getLocation(did)
  await writeFile(keyLocation, await key.export())
  await ctx.plcClient.updateAtprotoKey(did, ctx.plcRotationKey, key.did())
  const head = await ctx.actorStore.transact(did, async (store) => {
    await store.repo.processWrites([])
    return store.repo.getSyncEventData()
  })
  await ctx.sequencer.sequenceIdentity(did)
  await ctx.sequencer.sequenceSync(did, head)
}
