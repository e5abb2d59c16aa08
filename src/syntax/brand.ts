/** Branded strings: text that has passed a check keeps the proof of it in its type. */
import { SkeinError } from '../lib/errors.ts'

declare const brand: unique symbol

/** A string that a parser of this folder has accepted as a `Name`. At run time it is the string. */
export type Branded<Name extends string, Text extends string = string> = Text & {
  readonly [brand]: Name
}

/** How much of a refused text an error shows. */
const SHOWN_CHARS_MAX = 80

/** Returns `text` when `check` accepts it, else null. */
export function parseWith<T extends string>(
  check: (value: unknown) => value is T,
  text: string,
): T | null {
  return check(text) ? text : null
}

/** Returns `text` when `check` accepts it; throws SYNTAX_INVALID naming `kind` when it does not. */
export function requireWith<T extends string>(
  check: (value: unknown) => value is T,
  kind: string,
  text: string,
): T {
  if (check(text)) return text
  const shown = JSON.stringify(text.slice(0, SHOWN_CHARS_MAX))
  throw new SkeinError('SYNTAX_INVALID', `parse ${kind}: not valid`, { text: shown })
}
