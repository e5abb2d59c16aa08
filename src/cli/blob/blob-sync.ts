/** `skein blob sync`: all blobs of an account into a folder. */

import { join } from 'node:path'

import type { BLOB_SYNC_OPTIONS } from './blob-commands.ts'
import { type BlobCounts, ERROR_LEDGER, syncBlobs } from './blob-folder.ts'
import { sinceOf } from './blob-get.ts'
import type { CommandCall } from '../shared/command.ts'
import { given } from '../shared/common-options.ts'
import { EXIT } from '../io.ts'
import { countOf, formatBytes, formatCount } from '../shared/output.ts'
import { Progress } from '../shared/progress.ts'
import { openSource, parseAccount } from '../shared/targets.ts'

/** See docs/cli.md. */
export async function runBlobSync(call: CommandCall<typeof BLOB_SYNC_OPTIONS>): Promise<number> {
  const { words, options, io, output, session, signal } = call
  const [target = '', folder = ''] = words
  const since = sinceOf(options.since)
  const { account, client } = await openSource(
    session,
    parseAccount(target),
    given(options.service),
  )
  using progress = new Progress(io, { label: account.handle ?? account.did, unit: 'blobs' })
  let counts: BlobCounts | null = null
  try {
    counts = await syncBlobs({
      client,
      did: account.did,
      folder,
      ...since,
      parallel: options.parallel,
      signal,
      onProgress: (now) => progress.update(now.present + now.fetched, blobNote(now)),
      onFailure: ({ cid, code }) => progress.say(`blob ${cid}: ${code}`),
    })
  } catch (error) {
    progress.say('what has come is kept; run the command again to go on')
    throw error
  }
  progress.end()
  if (output.isJson) await output.json({ did: account.did, folder, ...counts })
  else {
    const { present, fetched, bytes, failed } = counts
    const there = present === 0 ? '' : `, ${formatCount(present)} were there`
    await output.line(`${folder}: ${countOf(fetched, 'blob')} (${formatBytes(bytes)}) came${there}`)
    if (failed > 0) {
      output.remark(`${countOf(failed, 'blob')} failed: see ${join(folder, ERROR_LEDGER)}`)
    }
  }
  return counts.failed > 0 ? EXIT.failure : EXIT.ok
}

/** What stands beside the number of blobs that are there. */
export function blobNote({ bytes, failed }: BlobCounts): string {
  return failed === 0 ? formatBytes(bytes) : `${formatBytes(bytes)}, ${failed} failed`
}
