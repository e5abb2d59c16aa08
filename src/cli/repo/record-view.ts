/** Records as people and programs read them. */

import { decodeRecord } from '../../client/events/commit-view.ts'
import type { RecordOutcome, RecordValue } from '../../client/events/events.ts'
import { type JsonValue, toDataJson } from '../../data/data-json.ts'
import { ok } from '../../lib/result.ts'

/** A record in JSON; what is no record says why, and gives its bytes in base64. */
export type RecordJson =
  | { readonly value: JsonValue }
  | { readonly value: null; readonly error: string; readonly bytes: string }

/** The JSON form of a record's bytes. */
export function recordJson(bytes: Uint8Array): RecordJson {
  return outcomeJson(decodeRecord(ok(bytes)), bytes)
}

function outcomeJson(outcome: RecordOutcome<RecordValue>, bytes: Uint8Array): RecordJson {
  if (outcome.valid) return { value: toDataJson(outcome.value) }
  const error = outcome.reason ?? 'op-record-malformed'
  return { value: null, error, bytes: Buffer.from(bytes).toString('base64') }
}
