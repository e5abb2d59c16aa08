/** What this build is, read once from package.json. */

import { readFileSync } from 'node:fs'

function readVersion(): string {
  const file = new URL('../../package.json', import.meta.url)
  const parsed: unknown = JSON.parse(readFileSync(file, 'utf8'))
  const version =
    typeof parsed === 'object' && parsed !== null && 'version' in parsed ? parsed.version : null
  return typeof version === 'string' ? version : '0.0.0'
}

/** The package's version, such as `0.1.0`. */
export const VERSION: string = readVersion()

/** The product token for `Server` and `User-Agent` headers. */
export const PRODUCT: string = `skein/${VERSION}`

/**
 * The same of a relay. The comment is the convention by which relays recognise one another, so that
 * one does not subscribe to another as if it were a host.
 */
export const RELAY_PRODUCT: string = `${PRODUCT} (atproto-relay)`
