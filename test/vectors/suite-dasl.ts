/**
 * The DASL test suite: CBOR that a strict implementation reads and writes, or refuses.
 *
 * All cases are run, also those of profiles that contradict DRISL; where the outcome differs from
 * what a case says, ./known-differences.ts says why.
 */
import { readdir } from 'node:fs/promises'

import { decodeDrisl } from '../../src/data/drisl.ts'
import { encodeDrisl } from '../../src/data/drisl-encode.ts'
import { fromHex, toHex } from '../../src/lib/bytes.ts'
import { SkeinError } from '../../src/lib/errors.ts'
import { runCases, type SuiteResult } from './suite-result.ts'
import { readJson } from './vector-files.ts'

interface DaslCase {
  readonly type: 'roundtrip' | 'invalid_in' | 'invalid_out'
  /** Hexadecimal. */
  readonly data: string
  readonly name: string
}

/** The JavaScript values that stand for what an encoder must refuse, by their CBOR. */
const UNWRITABLE: Readonly<Record<string, unknown>> = {
  f97e00: Number.NaN,
  f97c00: Number.POSITIVE_INFINITY,
  f9fc00: Number.NEGATIVE_INFINITY,
  fb8000000000000000: -0,
  c249010000000000000000: 2n ** 64n,
  a10000: new Map([[0, 0]]),
  f7: undefined,
  // An unassigned simple value: no JavaScript value comes closer to one without meaning.
  e0: Symbol('unassigned'),
  c07819323032352d30352d32365431363a31383a31372d30343a3030: new Date('2025-05-26T16:18:17-04:00'),
}

/** Runs every file. `sharedDirectory` holds `vectors/`. */
export async function run(sharedDirectory: string): Promise<readonly SuiteResult[]> {
  const directory = `${sharedDirectory}/vectors/dasl`
  const names = (await readdir(directory)).filter((name) => name.endsWith('.json')).sort()
  const results: SuiteResult[] = []
  for (const name of names) {
    const cases = await readJson<readonly DaslCase[]>(`${directory}/${name}`)
    results.push(runCases(`dasl: ${name}`, cases, checkCase))
  }
  return results
}

function checkCase({ type, data, name }: DaslCase): string | null {
  const fault = type === 'invalid_out' ? encodeFault(data) : decodeFault(data, type)
  return fault === null ? null : `${type} ${data}: ${name}: ${fault}`
}

function decodeFault(data: string, type: 'roundtrip' | 'invalid_in'): string | null {
  const decoded = decodeDrisl(fromHex(data) ?? new Uint8Array(0))
  if (type === 'invalid_in') return decoded.ok ? 'read' : null
  if (!decoded.ok) return `refused (${decoded.reason})`
  const back = toHex(encodeDrisl(decoded.value))
  return back === data ? null : `comes back as ${back}`
}

function encodeFault(data: string): string | null {
  if (!Object.hasOwn(UNWRITABLE, data)) return 'no value for this case'
  try {
    return `written as ${toHex(encodeDrisl(UNWRITABLE[data]))}`
  } catch (error) {
    if (error instanceof SkeinError && error.code === 'ENCODE_UNSUPPORTED') return null
    throw error
  }
}
