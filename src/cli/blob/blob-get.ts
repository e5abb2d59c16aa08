/** `skein blob get` and `skein blob ls`. */

import { SkeinError } from '../../lib/errors.ts'
import { cidFromString } from '../../data/cid.ts'
import { parseTid } from '../../syntax/tid.ts'
import type { BLOB_GET_OPTIONS, BLOB_LS_OPTIONS } from './blob-commands.ts'
import type { CommandCall } from '../shared/command.ts'
import { given } from '../shared/common-options.ts'
import { PartFile } from '../shared/files.ts'
import { EXIT } from '../io.ts'
import { countOf, formatBytes } from '../shared/output.ts'
import { Progress } from '../shared/progress.ts'
import { openSource, parseAccount } from '../shared/targets.ts'

/** See docs/cli.md. */
export async function runBlobGet(call: CommandCall<typeof BLOB_GET_OPTIONS>): Promise<number> {
  const { words, options, io, output, session } = call
  const [target = '', cid = '', file = '-'] = words
  if (cidFromString(cid) === null) {
    throw new SkeinError('OPTION_INVALID', 'blob get: it is no CID of a blob', {
      cid: JSON.stringify(cid.slice(0, 80)),
    })
  }
  const { account, client } = await openSource(
    session,
    parseAccount(target),
    given(options.service),
  )
  if (file === '-' && io.stdoutIsTerminal) {
    throw new SkeinError('OPTION_INVALID', 'blob get: bytes do not go to a terminal; name a file')
  }
  using progress = new Progress(io, { label: cid, unit: 'bytes' })
  const stream = await client.getBlob({ did: account.did, cid })
  progress.expect(stream.contentLength)
  if (file === '-') {
    for await (const piece of stream) {
      await output.bytes(piece)
      progress.add(piece.length)
    }
    return EXIT.ok
  }
  await using part = await PartFile.create(file)
  for await (const piece of stream) {
    await part.write(piece)
    progress.add(piece.length)
  }
  // Only an end without an error says that the bytes are those of the CID.
  await part.commit()
  progress.end()
  const { bytes } = part
  if (output.isJson) await output.json({ cid, did: account.did, bytes, file })
  else await output.line(`${file}: ${formatBytes(bytes)}, CID verified`)
  return EXIT.ok
}

/** See docs/cli.md. */
export async function runBlobLs(call: CommandCall<typeof BLOB_LS_OPTIONS>): Promise<number> {
  const { words, options, io, output, session } = call
  const { account, client } = await openSource(
    session,
    parseAccount(words[0] ?? ''),
    given(options.service),
  )
  const since = sinceOf(options.since)
  let count = 0
  for await (const cid of client.listBlobs({ did: account.did, ...since })) {
    count++
    if (output.isJson) await output.jsonLine({ cid })
    else await output.line(cid)
  }
  if (io.stdoutIsTerminal) output.remark(countOf(count, 'blob'))
  return EXIT.ok
}

/** The parameter of --since. Throws OPTION_INVALID when it is no rev. */
export function sinceOf(option: string): { readonly since?: string } {
  const since = given(option)
  if (since === null) return {}
  if (parseTid(since) === null) {
    throw new SkeinError('OPTION_INVALID', 'options: --since is no rev', {
      value: JSON.stringify(since.slice(0, 80)),
    })
  }
  return { since }
}
