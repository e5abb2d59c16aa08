/**
 * File names that are good on every file system: one for each text, never a path, never a name that
 * Windows keeps for devices, and different without regard to case.
 */

import { sha256 } from '../../crypto/sha256.ts'
import { toHex, utf8 } from '../../lib/bytes.ts'

/** Lower-case, so that names that differ in case only are never both left as they are. */
const PLAIN = /^[a-z0-9][a-z0-9_-]*(?:\.[a-z0-9_-]+)*$/
/** Names of devices, also with anything after a dot. */
const RESERVED = /^(?:con|prn|aux|nul|conin|conout|clock|com\d|lpt\d)(?:\.|$)/
/** Longest name, with room for an extension below the 143 that encrypted folders allow. */
const NAME_CHARS_MAX = 120
const SHOWN_CHARS_MAX = 80
const HASH_BYTES = 10

/**
 * `text` itself when that is safe; else what is readable of it, `~`, and 20 digits of its SHA-256.
 * `~` is in no name that is left as it is, so that two texts never share a name.
 */
export function safeName(text: string): string {
  if (text.length <= NAME_CHARS_MAX && PLAIN.test(text) && !RESERVED.test(text)) return text
  const shown = text
    .slice(0, SHOWN_CHARS_MAX)
    .replaceAll(/[^A-Za-z0-9_-]+/g, '_')
    .replace(/^[_-]+/, '')
  return `${shown}~${toHex(sha256(utf8(text)).subarray(0, HASH_BYTES))}`
}
