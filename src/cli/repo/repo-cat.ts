/** `skein repo cat`: one record of a repository, from its host with a proof or from a CAR file. */

import { cidToString } from '../../data/cid.ts'
import { SkeinError } from '../../lib/errors.ts'
import { parseRepoPath } from '../../syntax/repo-path.ts'
import type { CommandCall } from '../shared/command.ts'
import { EXIT } from '../io.ts'
import { formatBytes, jsonText } from '../shared/output.ts'
import { Progress } from '../shared/progress.ts'
import { fetchProof, printRecord } from './record-proof.ts'
import { recordJson } from './record-view.ts'
import type { READ_OPTIONS } from './repo-commands.ts'
import { counted, openRepoSource, type RepoSource } from './repo-source.ts'

type Call = CommandCall<typeof READ_OPTIONS>

/** See docs/cli.md. */
export async function runRepoCat(call: Call): Promise<number> {
  const { words, options, session } = call
  const [target = '', given] = words
  const source = await openRepoSource(session, target, options)
  const path = pathOf(source, given)
  if (source.client === null) return catFromFile(call, source, path)
  const proof = await fetchProof(source, path)
  return printRecord(call.output, proof, 'record')
}

/** The path that was given, alone or as part of the target. */
function pathOf(source: RepoSource, given: string | undefined): string {
  const { collection = null, rkey = null } = source.name ?? {}
  const named = collection === null || rkey === null ? null : `${collection}/${rkey}`
  const path = given ?? named
  if (path === null) {
    throw new SkeinError('OPTION_INVALID', 'repo cat: a path <collection>/<record key> is missing')
  }
  if (parseRepoPath(path) !== null) return path
  throw new SkeinError('OPTION_INVALID', 'repo cat: it is no path <collection>/<record key>', {
    path: JSON.stringify(path.slice(0, 80)),
  })
}

/** Reads the file to its end: that there is no such record shows only there. */
async function catFromFile(
  { io, output }: Call,
  source: RepoSource,
  path: string,
): Promise<number> {
  using progress = new Progress(io, { label: source.label, unit: 'bytes' })
  const { pieces, size } = await source.open()
  progress.expect(size)
  const bytes = counted(pieces, (count) => progress.add(count))
  const read = await source.read(bytes, { wants: (named) => named === path })
  let found: { readonly cid: string; readonly bytes: Uint8Array } | null = null
  for await (const record of read.records) {
    found = { cid: cidToString(record.cid), bytes: record.bytes }
  }
  progress.end()
  const { did, rev } = read.commit
  const uri = `at://${did}/${path}`
  if (found === null) {
    if (output.isJson) await output.json({ uri, rev, cid: null })
    output.remark(`${uri} is not in the repository as of rev ${rev} (${source.claim})`)
    return EXIT.absent
  }
  const record = recordJson(found.bytes)
  if (output.isJson) await output.json({ uri, rev, cid: found.cid, ...record })
  else {
    await output.line(jsonText(record.value, 2))
    output.remark(`${uri}, ${formatBytes(found.bytes.length)}, rev ${rev}, ${source.claim}`)
  }
  return EXIT.ok
}
