import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

/** Where a database may lie, in a directory that is gone after the test. */
export function temporaryFile(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'skein-store-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return join(directory, 'state.sqlite')
}
