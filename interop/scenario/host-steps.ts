/** Everything that Skein's repository host can be made to do, but for accounts that move. */

import { checkOf } from '../checks/check.ts'
import { exportOf, readRepo } from '../checks/repo-contents.ts'
import type { Account, Scene, Write } from './scene.ts'
import { applyWrites, createRecord, deleteRecord, post, putRecord } from './scene.ts'
import type { Step } from './step.ts'
import type { SkeinHost } from '../world/skein-host.ts'

const POST = 'app.bsky.feed.post'
const THING = 'org.example.thing'

/** The most writes that one commit may have. */
const WRITES_MAX = 200

/** Names in the scene; all but the first two are left inactive at the end. */
const ACCOUNTS = ['sam', 'sue', 'sid', 'sal', 'sia', 'sol'] as const

/** Statuses that accounts come back from. */
const PASSING_STATUSES = ['deactivated', 'suspended', 'takendown'] as const

const step = (name: string, eventCount: number, run: (scene: Scene) => Promise<unknown>): Step => {
  return { name: `host: ${name}`, eventCount, run: async (scene) => void (await run(scene)) }
}

const hostOf = (scene: Scene): SkeinHost => scene.pds('S')

const numbered = (prefix: string, count: number): Write[] =>
  Array.from({ length: count }, (_, n) => {
    const value = { n, text: `${prefix} ${n} `.repeat(1 + (n % 7)) }
    return { action: 'create', path: `${THING}/${prefix}${n}`, value }
  })

/** Single writes and several at once. */
const writeSteps: readonly Step[] = [
  step('create accounts of both curves', 4 * ACCOUNTS.length, async (scene) => {
    for (const [i, name] of ACCOUNTS.entries()) {
      await scene.createHosted(name, i % 2 === 0 ? 'k256' : 'p256')
    }
  }),
  step('create records', 3, async (scene) => {
    await createRecord(scene.account('sam'), POST, post('one'), 'one')
    await createRecord(scene.account('sam'), POST, post('grüße, 世界 🌍', { tags: [] }), 'two')
    await createRecord(scene.account('sue'), POST, { ...post('three'), nested: { a: [1, null] } })
  }),
  step('put a new record, put it again changed', 2, async (scene) => {
    await putRecord(scene.account('sam'), 'app.bsky.actor.profile/self', { displayName: 'Sam' })
    await putRecord(scene.account('sam'), 'app.bsky.actor.profile/self', { displayName: 'S.' })
  }),
  step('put it unchanged', 0, async (scene) => {
    await putRecord(scene.account('sam'), 'app.bsky.actor.profile/self', { displayName: 'S.' })
  }),
  step('delete a record', 1, (scene) => deleteRecord(scene.account('sam'), `${POST}/one`)),
  step('200 operations in one commit', 1, (scene) =>
    applyWrites(scene.account('sam'), numbered('many', WRITES_MAX)),
  ),
  step('create, update and delete in one commit', 1, (scene) =>
    applyWrites(scene.account('sam'), [
      { action: 'update', path: `${THING}/many7`, value: { n: -7 } },
      { action: 'delete', path: `${THING}/many8` },
      { action: 'create', path: `${THING}/mixed`, value: { n: 0 } },
      { action: 'delete', path: `${THING}/many199` },
    ]),
  ),
  step('move a record to another path, and two into each other', 2, async (scene) => {
    const sam = scene.account('sam')
    await applyWrites(sam, [
      { action: 'delete', path: `${THING}/mixed` },
      { action: 'create', path: `${THING}/moved`, value: { n: 0 } },
    ])
    await applyWrites(sam, [
      { action: 'update', path: `${THING}/moved`, value: { n: -7 } },
      { action: 'update', path: `${THING}/many7`, value: { n: 0 } },
    ])
  }),
  step('200 operations of all kinds', 1, (scene) =>
    applyWrites(scene.account('sam'), [
      ...Array.from({ length: 60 }, (_, n): Write => {
        return { action: 'delete', path: `${THING}/many${n + 20}` }
      }),
      ...Array.from({ length: 60 }, (_, n): Write => {
        return { action: 'update', path: `${THING}/many${n + 100}`, value: { n: -n - 1 } }
      }),
      ...numbered('more', 80),
    ]),
  ),
  step('create the only record of a repository, delete it, create it again', 3, async (scene) => {
    const sid = scene.account('sid')
    await createRecord(sid, THING, { n: 1 }, 'only')
    await deleteRecord(sid, `${THING}/only`)
    await createRecord(sid, THING, { n: 1 }, 'only')
  }),
]

/** Keys, handles, statuses, imports. */
const changeSteps: readonly Step[] = [
  step('change a handle', 1, async (scene) => {
    const { did } = scene.account('sam')
    await hostOf(scene).updateHandle(did, 'sam2.test')
  }),
  step('rotate a key to the other curve, then write', 4, async (scene) => {
    const sam = scene.account('sam')
    await hostOf(scene).rotateKey(sam.did, 'p256')
    await createRecord(sam, POST, post('signed with the new key'))
  }),
  ...PASSING_STATUSES.map((status) =>
    step(`an account becomes ${status} and active again, then is written`, 5, async (scene) => {
      const { did } = scene.account('sue')
      await hostOf(scene).setStatus(did, status)
      await hostOf(scene).setStatus(did, 'active')
      await createRecord(scene.account('sue'), POST, post(`after ${status}`))
    }),
  ),
  step('an account is suspended, then taken down, then active', 5, async (scene) => {
    const { did } = scene.account('sue')
    await hostOf(scene).setStatus(did, 'suspended')
    await hostOf(scene).setStatus(did, 'takendown')
    await hostOf(scene).setStatus(did, 'active')
  }),
  step('import an older state of itself, then write', 3, async (scene) => {
    const sam = scene.account('sam')
    const older = await exportOf(sam.home.origin, sam.did)
    await applyWrites(sam, [
      { action: 'delete', path: `${THING}/more3` },
      { action: 'create', path: `${THING}/undone`, value: { n: 1 } },
    ])
    await importBack(scene, sam, older)
    await createRecord(sam, POST, post('after the import'))
    hostOf(scene).earlyExports.set(sam.did, await exportOf(sam.home.origin, sam.did))
  }),
  step('write and delete after an export', 3, async (scene) => {
    const sam = scene.account('sam')
    await putRecord(sam, `${THING}/more5`, { n: 'changed' })
    await deleteRecord(sam, `${THING}/more6`)
    await createRecord(sam, THING, { n: 2 }, 'since')
  }),
]

/** Everything that leaves its accounts active. */
export const hostSteps: readonly Step[] = [...writeSteps, ...changeSteps]

/** What is left inactive, for what is then answered and replayed. */
export const hostEndingSteps: readonly Step[] = [
  step('delete an account', 1, async (scene) => {
    const sid = scene.account('sid')
    await hostOf(scene).setStatus(sid.did, 'deleted')
    sid.deleted = true
  }),
  step('leave an account deactivated', 2, async (scene) => {
    await createRecord(scene.account('sal'), POST, post('for now'))
    await hostOf(scene).setStatus(scene.account('sal').did, 'deactivated')
  }),
  step('leave an account taken down', 2, async (scene) => {
    await createRecord(scene.account('sia'), POST, post('not allowed'))
    await hostOf(scene).setStatus(scene.account('sia').did, 'takendown')
  }),
  step('leave an account suspended', 2, async (scene) => {
    await createRecord(scene.account('sol'), POST, post('not now'))
    await hostOf(scene).setStatus(scene.account('sol').did, 'suspended')
  }),
]

/** Imports what the account itself has exported; its tree must be the same again. */
async function importBack(scene: Scene, { did, home }: Account, car: Uint8Array): Promise<void> {
  const host = hostOf(scene)
  const { verificationMethods } = await host.plc.getDocumentData(did)
  const didKey = verificationMethods['atproto'] ?? ''
  const before = await readRepo(car, did, didKey)
  await host.importRepo(did, car, didKey)
  const after = await readRepo(await exportOf(home.origin, did), did, didKey)
  const faults = before.data === after.data ? [] : [`${before.data} became ${after.data}`]
  if (!(after.rev > before.rev)) faults.push(`rev ${after.rev} does not follow ${before.rev}`)
  scene.checks.push(checkOf("the host's own export, imported again, has the same root", faults))
}
