/**
 * Reads a command's options: flag before environment before default. Reads no environment itself.
 */

import { assert } from '../lib/assert.ts'
import { SkeinError } from '../lib/errors.ts'
import {
  ENVIRONMENT_PREFIX,
  environmentNameOf,
  flagOf,
  type OptionTable,
  type OptionSpec,
  type OptionValues,
} from './option-table.ts'
import { parseOptionValue } from './option-values.ts'

/** Raw flags by table key: text, several texts of a repeated flag, or the state of a switch. */
export type RawFlags = Readonly<Record<string, string | readonly string[] | boolean | undefined>>

/** The process environment, handed in by `cli`. */
export type Environment = Readonly<Record<string, string | undefined>>

export interface OptionSources {
  readonly flags?: RawFlags
  readonly environment?: Environment
}

/** Longest part of a refused value that an error repeats. */
const SHOWN_VALUE_CHARS_MAX = 80

/**
 * Parses every option of `table`. An environment variable that is set but empty counts as not set.
 *
 * @throws SkeinError `OPTION_INVALID` with the option, its value and what is allowed;
 *   `OPTION_UNKNOWN` for a flag that the table lacks.
 */
export function parseOptions<const T extends OptionTable>(
  table: T,
  sources: OptionSources = {},
): OptionValues<T> {
  const { flags = {}, environment = {} } = sources
  for (const key of Object.keys(flags)) {
    if (!Object.hasOwn(table, key)) {
      throw new SkeinError('OPTION_UNKNOWN', `options: no option is called ${key}`)
    }
  }
  const values: Record<string, unknown> = {}
  for (const [key, spec] of Object.entries(table)) {
    values[key] = readOption(key, spec, flags, environment)
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- each value is its spec's type
  return values as OptionValues<T>
}

/**
 * Refuses `SKEIN_` variables that none of `tables` knows: a misspelt one would be ignored silently.
 *
 * @throws SkeinError `OPTION_UNKNOWN`, with the nearest known name.
 */
export function checkEnvironment(tables: readonly OptionTable[], environment: Environment): void {
  const known = tables.flatMap((table) =>
    Object.entries(table).map(([key, spec]) => environmentNameOf(key, spec)),
  )
  for (const name of Object.keys(environment)) {
    if (!name.startsWith(ENVIRONMENT_PREFIX) || known.includes(name)) continue
    const near = nearest(name, known)
    throw new SkeinError(
      'OPTION_UNKNOWN',
      `options: ${show(name)} is not a variable that Skein knows`,
      near === null ? {} : { nearest: near },
    )
  }
}

function readOption(key: string, spec: OptionSpec, flags: RawFlags, env: Environment): unknown {
  const flag = flags[key]
  if (flag !== undefined) {
    const text = typeof flag === 'object' ? flag.join(',') : String(flag)
    return parseFrom(`--${flagOf(key, spec)}`, spec, text)
  }
  const name = environmentNameOf(key, spec)
  const text = env[name]
  if (text !== undefined && text !== '') return parseFrom(name, spec, text)
  const parsed = parseOptionValue(spec, spec.default)
  assert(parsed.ok, () => `the default of ${key} is not allowed`)
  return parsed.value
}

function parseFrom(option: string, spec: OptionSpec, text: string): unknown {
  const parsed = parseOptionValue(spec, text)
  if (parsed.ok) return parsed.value
  throw new SkeinError('OPTION_INVALID', `options: ${option} has a value that is not allowed`, {
    option,
    value: spec.secret === true ? '(hidden)' : show(text),
    allowed: parsed.detail,
  })
}

/** Quotes a value for an error: one line, bounded, without the credentials of a URL. */
function show(text: string): string {
  const bare = text.replaceAll(/\/\/[^/@\s]*@/g, '//(hidden)@')
  const cut =
    bare.length > SHOWN_VALUE_CHARS_MAX ? `${bare.slice(0, SHOWN_VALUE_CHARS_MAX)}…` : bare
  return JSON.stringify(cut)
}

/** The candidate with the fewest edits, when there are few enough to be a slip of the finger. */
export function nearest(text: string, candidates: readonly string[]): string | null {
  let best: string | null = null
  let bestDistance = Math.max(3, Math.floor(text.length / 3)) + 1
  for (const candidate of candidates) {
    const distance = editDistance(text, candidate)
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance]
  }
  return best
}

/** Longest names that are compared letter by letter; option names stay far below. */
const COMPARED_CHARS_MAX = 100

function editDistance(a: string, b: string): number {
  if (a.length > COMPARED_CHARS_MAX || b.length > COMPARED_CHARS_MAX) return Infinity
  let above = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (above[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      row.push(Math.min(replaced, (above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1))
    }
    above = row
  }
  return above[b.length] ?? 0
}
