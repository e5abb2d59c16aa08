/**
 * One bad event or more for every rule that an event can break, by the reason it must be refused
 * for.
 */
import type { BadEventCase } from './bad-event.ts'
import { CARS } from './bad-cars.ts'
import { COMMITS, OPERATIONS } from './bad-commits.ts'
import { FRAMES } from './bad-frames.ts'
import { TREES } from './bad-trees.ts'

/** Every case, the cheapest rules first. */
export const BAD_EVENTS: readonly BadEventCase[] = [
  ...FRAMES,
  ...CARS,
  ...COMMITS,
  ...OPERATIONS,
  ...TREES,
]
