/** Blobs at Skein's repository host: which are served, by what their account writes. */

import { blobRefusal, readBlob } from '../checks/blobs.ts'
import { checkOf } from '../checks/check.ts'
import { exportOf } from '../checks/repo-contents.ts'
import { BYTE, NOTE, ODD, PHOTO, PIXEL } from './blob-samples.ts'
import type { Account, BlobReference, Scene } from './scene.ts'
import { applyWrites, createRecord, deleteRecord, putRecord, uploadBlob } from './scene.ts'
import type { Step } from './step.ts'

const THING = 'org.example.thing'
const OWNER = 'bo'

/** What was uploaded, by step of the scenario. */
const uploads = new WeakMap<Account, ReadonlyMap<string, BlobReference>>()

/** Events of a new account: #identity, #account, #commit, #sync. */
const EVENTS_PER_ACCOUNT = 4

export const blobSteps: readonly Step[] = [
  {
    name: 'blobs: an account at the host uploads some',
    eventCount: EVENTS_PER_ACCOUNT,
    async run(scene) {
      const owner = await scene.createHosted(OWNER, 'p256')
      const samples = { pixel: PIXEL, photo: PHOTO, odd: ODD, byte: BYTE, note: NOTE }
      const blobs = new Map<string, BlobReference>()
      for (const [name, { bytes, mimeType }] of Object.entries(samples)) {
        blobs.set(name, await uploadBlob(owner, bytes, mimeType))
      }
      uploads.set(owner, blobs)
      await look(scene, 'a blob is not served before a record refers to it', [], [...blobs.keys()])
    },
  },
  {
    name: 'blobs: records refer to them, two to one and one to two',
    eventCount: 2,
    async run(scene) {
      const owner = scene.account(OWNER)
      await applyWrites(owner, [
        { action: 'create', path: `${THING}/pixel`, value: { image: blob(owner, 'pixel') } },
        {
          action: 'create',
          path: `${THING}/same`,
          value: { deep: [{ in: blob(owner, 'pixel') }] },
        },
        {
          action: 'create',
          path: `${THING}/two`,
          value: { a: blob(owner, 'odd'), b: blob(owner, 'byte') },
        },
        { action: 'create', path: `${THING}/note`, value: { old: oldForm(blob(owner, 'note')) } },
      ])
      await createRecord(owner, THING, { text: 'nothing but text' }, 'plain')
      const referred = ['pixel', 'odd', 'byte', 'note']
      await look(scene, 'a blob is served once a record refers to it', referred, ['photo'])
      const { home, did } = owner
      scene.pds('S').earlyExports.set(did, await exportOf(home.origin, did))
    },
  },
  {
    name: 'blobs: the last record that refers to one is deleted, or changed',
    eventCount: 3,
    async run(scene) {
      const owner = scene.account(OWNER)
      await deleteRecord(owner, `${THING}/same`)
      await look(scene, 'a blob is served while one record still refers to it', ['pixel'], [])
      await deleteRecord(owner, `${THING}/pixel`)
      await look(scene, 'a blob is no longer served when its record is deleted', [], ['pixel'])
      await putRecord(owner, `${THING}/two`, { a: blob(owner, 'photo'), b: blob(owner, 'byte') })
      const after = ['photo', 'byte', 'note']
      await look(scene, 'a blob is no longer served when its record is changed', after, ['odd'])
    },
  },
  {
    name: 'blobs: a record refers again to what was let go',
    eventCount: 1,
    async run(scene) {
      const owner = scene.account(OWNER)
      await createRecord(owner, THING, { image: blob(owner, 'odd') }, 'again')
      await look(scene, 'a blob is served again within its grace', ['odd', 'byte'], ['pixel'])
    },
  },
]

function blob(owner: Account, name: string): BlobReference {
  const reference = uploads.get(owner)?.get(name)
  if (reference === undefined) throw new Error(`${owner.name} has not uploaded ${name}`)
  return reference
}

/** As records referred to blobs before 2023. */
function oldForm({ ref, mimeType }: BlobReference): { cid: string; mimeType: string } {
  return { cid: ref.$link, mimeType }
}

/** Some must be served as they were uploaded, others must not be served at all. */
async function look(
  scene: Scene,
  name: string,
  served: readonly string[],
  refused: readonly string[],
): Promise<void> {
  const owner = scene.account(OWNER)
  const { origin } = owner.home
  const faults: string[] = []
  for (const one of served) {
    const { ref, mimeType, size } = blob(owner, one)
    const found = await readBlob(origin, owner.did, ref.$link)
    if (found.mimeType !== mimeType) faults.push(`${one} is ${found.mimeType}`)
    if (found.bytes.length !== size) faults.push(`${one} has ${found.bytes.length} bytes`)
  }
  for (const one of refused) {
    faults.push(...(await blobRefusal(origin, owner.did, blob(owner, one).ref.$link)))
  }
  scene.checks.push(checkOf(`the host: ${name}`, faults))
}
