/** Where the process of a consumer writes. */

import { join } from 'node:path'

export interface ConsumerFiles {
  /** SQLite. */
  readonly store: string
  /** One JSON of each delivery a line. */
  readonly consumed: string
  /** One JSON of each notice a line. */
  readonly remarks: string
}

export function filesIn(directory: string): ConsumerFiles {
  return {
    store: join(directory, 'consumer.sqlite'),
    consumed: join(directory, 'consumed.jsonl'),
    remarks: join(directory, 'remarks.jsonl'),
  }
}
