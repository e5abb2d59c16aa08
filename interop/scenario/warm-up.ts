/** The first step: writes until every client is known to be connected to the relay. */

import { mustHappen, waitUntil } from '../net/wait.ts'
import { createRecord } from './scene.ts'
import type { Step } from './step.ts'

/** How long clients may take to connect, ms. */
const CONNECT_TIMEOUT_MS = 20_000
/** Pause between two writes, ms. */
const WRITE_INTERVAL_MS = 250

/**
 * Clients subscribe to live events without a cursor and do not all say when they are connected. So
 * this writes until each has received something. What it writes is compared for the raw recorder
 * only, which has a cursor.
 */
export function warmUpStep(everybodyReceives: () => boolean): Step {
  return {
    name: 'warm-up: writes until every client receives',
    async run(scene) {
      const accounts = [
        await scene.createAccount('wanda', 'A'),
        await scene.createAccount('walt', 'B'),
        await scene.createHosted('sara'),
      ]
      const write = async (): Promise<boolean> => {
        for (const account of accounts) await createRecord(account, 'org.example.thing', {})
        return waitUntil(everybodyReceives, WRITE_INTERVAL_MS)
      }
      await mustHappen('every client receives something', write, CONNECT_TIMEOUT_MS)
    },
  }
}
