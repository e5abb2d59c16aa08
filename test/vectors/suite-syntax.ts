/**
 * The interoperability vectors of atproto for identifiers: one line a case, `#` begins a comment.
 */
import { readdir, readFile } from 'node:fs/promises'

import { isAtIdentifier } from '../../src/syntax/at-identifier.ts'
import { isAtUri } from '../../src/syntax/at-uri.ts'
import { isCidString } from '../../src/syntax/cid-string.ts'
import { isDatetime } from '../../src/syntax/datetime.ts'
import { isDid } from '../../src/syntax/did.ts'
import { isHandle } from '../../src/syntax/handle.ts'
import { isLanguage } from '../../src/syntax/language.ts'
import { isNsid } from '../../src/syntax/nsid.ts'
import { isRecordKey } from '../../src/syntax/record-key.ts'
import { isTid } from '../../src/syntax/tid.ts'
import { isUri } from '../../src/syntax/uri.ts'
import { runCases, type SuiteResult } from './suite-result.ts'

/** The check that each kind of file is about. */
export const CHECKS: Readonly<Record<string, (text: string) => boolean>> = {
  atidentifier: isAtIdentifier,
  aturi: isAtUri,
  cid: isCidString,
  datetime: isDatetime,
  did: isDid,
  handle: isHandle,
  language: isLanguage,
  nsid: isNsid,
  recordkey: isRecordKey,
  tid: isTid,
  uri: isUri,
}

const FILE_NAME = /^([a-z]+)_(?:syntax|parse)_(valid|invalid)\.txt$/
const SHOWN_CHARS_MAX = 100

/** Runs every file; one that no check is about is a failure. `sharedDirectory` holds `vectors/`. */
export async function run(sharedDirectory: string): Promise<readonly SuiteResult[]> {
  const directory = `${sharedDirectory}/vectors/interop/syntax`
  const results: SuiteResult[] = []
  for (const fileName of (await readdir(directory)).sort()) {
    const [, kind = '', validity] = FILE_NAME.exec(fileName) ?? []
    const check = CHECKS[kind]
    const name = `syntax: ${fileName}`
    if (check === undefined) {
      results.push({ name, passed: 0, total: 1, failures: [`${fileName}: unknown kind`] })
      continue
    }
    const expected = validity === 'valid'
    const lines = casesOf(await readFile(`${directory}/${fileName}`, 'utf8'))
    results.push(
      runCases(name, lines, (line) =>
        check(line) === expected ? null : JSON.stringify(line.slice(0, SHOWN_CHARS_MAX)),
      ),
    )
  }
  return results
}

function casesOf(text: string): readonly string[] {
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
}
