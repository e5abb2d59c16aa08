/**
 * The interoperability vectors of atproto for the data model: JSON, DRISL and CIDs of one value.
 *
 * Skein reads no JSON records: the conversion is that of ./vector-files.ts. What is judged by
 * production code is DRISL, CIDs as bytes and text, numbers, and that a record is a map.
 */
import { isDeepStrictEqual } from 'node:util'

import { CODEC_DAG_CBOR, cidOf, cidToString } from '../../src/data/cid.ts'
import { decodeDrisl, mapHead } from '../../src/data/drisl.ts'
import { encodeDrisl } from '../../src/data/drisl-encode.ts'
import { bytesEqual } from '../../src/lib/bytes.ts'
import { messageOf } from '../../src/lib/errors.ts'
import { runCases, type SuiteResult } from './suite-result.ts'
import { fromDataJson, readJson, toDataJson } from './vector-files.ts'

interface Fixture {
  readonly json: unknown
  readonly cbor_base64: string
  readonly cid: string
}

interface NotedCase {
  readonly note: string
  readonly json: unknown
}

/** Runs all three files. `sharedDirectory` holds `vectors/`. */
export async function run(sharedDirectory: string): Promise<readonly SuiteResult[]> {
  const directory = `${sharedDirectory}/vectors/interop/data-model`
  const fixtures = await readJson<readonly Fixture[]>(`${directory}/data-model-fixtures.json`)
  const valid = await readJson<readonly NotedCase[]>(`${directory}/data-model-valid.json`)
  const invalid = await readJson<readonly NotedCase[]>(`${directory}/data-model-invalid.json`)
  return [
    runCases('data-model: JSON, DRISL and CID of fixtures', fixtures, checkFixture),
    runCases('data-model: valid', valid, ({ note, json }) => {
      const fault = faultOf(json)
      return fault === null ? null : `${note}: ${fault}`
    }),
    runCases('data-model: invalid', invalid, ({ note, json }) =>
      faultOf(json) === null ? `${note}: accepted` : null,
    ),
  ]
}

function checkFixture({ json, cbor_base64, cid }: Fixture): string | null {
  const expected = new Uint8Array(Buffer.from(cbor_base64, 'base64'))
  const encoded = encodeDrisl(fromDataJson(json))
  if (!bytesEqual(encoded, expected)) return `${cid}: DRISL of the JSON is another`
  if (cidToString(cidOf(CODEC_DAG_CBOR, encoded)) !== cid) return `${cid}: CID is another`
  const decoded = decodeDrisl(expected)
  if (!decoded.ok) return `${cid}: ${decoded.detail}`
  if (!bytesEqual(encodeDrisl(decoded.value), expected)) return `${cid}: no round trip`
  return isDeepStrictEqual(toDataJson(decoded.value), json) ? null : `${cid}: JSON is another`
}

/** What is wrong with a JSON value as a record; null when it survives the way to DRISL and back. */
function faultOf(json: unknown): string | null {
  try {
    const encoded = encodeDrisl(fromDataJson(json))
    if (mapHead(encoded, 0) === null) return 'not a map'
    const decoded = decodeDrisl(encoded)
    if (!decoded.ok) return decoded.detail
    return isDeepStrictEqual(toDataJson(decoded.value), json) ? null : 'comes back as another'
  } catch (error) {
    return messageOf(error)
  }
}
