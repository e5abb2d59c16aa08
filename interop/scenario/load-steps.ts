/** Many writes at once at all PDSes, for order and for what happens to the relay under way. */

import { changeHandle } from './account-steps.ts'
import type { Account, Scene } from './scene.ts'
import { applyWrites, createRecord, deleteRecord } from './scene.ts'
import type { Step } from './step.ts'

const THING = 'org.example.thing'

/** Accounts that are active until the end, and write at the same time. */
const WRITERS = ['alice', 'bob', 'bea', 'ben', 'mia', 'sam', 'moe']

/** Commits of one writer in a burst; three fifths of them are single creates. */
const COMMITS_PER_BURST = 12

export const burstStep: Step = {
  name: 'a burst of writes by several accounts at once',
  eventCount: WRITERS.length * COMMITS_PER_BURST,
  run: (scene) => burst(scene, 'burst'),
}

/** A step of writes that begins while the relay is down. */
export function writesWhileDown(bringBack: () => Promise<void>): Step {
  return {
    name: 'writes while the relay is stopped, and after it is back',
    async run(scene) {
      await burst(scene, 'down')
      for (const name of WRITERS) await rename(scene.account(name), 'down')
      await bringBack()
      await burst(scene, 'back')
    },
  }
}

/** A step of writes during which `crash` ends the relay and starts it again. */
export function writesAcrossCrash(round: number, crash: () => Promise<void>): Step {
  return {
    name: `writes while the relay is killed, round ${round}`,
    async run(scene) {
      const writing = Promise.all([
        burst(scene, `crash${round}a`).then(() => burst(scene, `crash${round}b`)),
        ...WRITERS.map((name) => rename(scene.account(name), `crash${round}`)),
      ])
      await Promise.all([writing, crash()])
    },
  }
}

/** A step of writes during which `kill` ends a consumer and starts it again. */
export function writesAcrossKill(kill: () => Promise<void>): Step {
  return {
    name: 'writes while the consumer of the relay is killed',
    async run(scene) {
      const writing = Promise.all([
        burst(scene, 'kill'),
        ...WRITERS.map((name) => rename(scene.account(name), 'kill')),
      ])
      await Promise.all([writing, kill()])
    },
  }
}

async function burst(scene: Scene, prefix: string): Promise<void> {
  await Promise.all(WRITERS.map((name) => writeMany(scene.account(name), prefix)))
}

/** One after the other, as a PDS wants it for one repository. */
async function writeMany(account: Account, prefix: string): Promise<void> {
  for (let i = 0; i < COMMITS_PER_BURST; i++) {
    const path = `${THING}/${prefix}-${i}`
    const previous = `${THING}/${prefix}-${i - 1}`
    if (i % 5 === 3) {
      await applyWrites(account, [
        { action: 'update', path: previous, value: { n: -i } },
        { action: 'create', path, value: { n: i } },
      ])
    } else if (i % 5 === 4) await deleteRecord(account, previous)
    else await createRecord(account, THING, { n: i }, `${prefix}-${i}`)
  }
}

async function rename(account: Account, suffix: string): Promise<void> {
  await changeHandle(account, `${account.name}-${suffix}.test`)
}
