/** `skein repo get`: a repository into a CAR file, verified while it comes. */

import { readCarStream } from '../../data/car-stream.ts'
import { cidEquals, cidToString } from '../../data/cid.ts'
import { SkeinError } from '../../lib/errors.ts'
import { decodeCommit } from '../../repo/commit.ts'
import { REPO_READ_LIMITS, RepoReadError } from '../../repo/repo-reader.ts'
import { parseTid } from '../../syntax/tid.ts'
import type { CommandCall } from '../shared/command.ts'
import { given } from '../shared/common-options.ts'
import { PartFile, partPathOf } from '../shared/files.ts'
import { EXIT } from '../io.ts'
import { countOf, formatBytes, type Output } from '../shared/output.ts'
import { Progress } from '../shared/progress.ts'
import type { GET_OPTIONS } from './repo-commands.ts'
import { openRepoSource, type RepoSource } from './repo-source.ts'
import { safeName } from '../shared/safe-name.ts'

/** What a fetched CAR turned out to be. */
interface Fetched {
  readonly did: string
  readonly rev: string
  readonly commit: string
  readonly bytes: number
  /** Null for a CAR with `since`, whose tree is not whole. */
  readonly records: number | null
}

type Call = CommandCall<typeof GET_OPTIONS>

/** See docs/cli.md. */
export async function runRepoGet({ words, options, io, output, session }: Call): Promise<number> {
  const [target = '', file] = words
  const since = given(options.since)
  if (since !== null && parseTid(since) === null) {
    throw new SkeinError('OPTION_INVALID', 'options: --since is no rev', { value: since })
  }
  const source = await openRepoSource(session, target, options)
  if (source.client === null) {
    throw new SkeinError('OPTION_INVALID', 'repo get: a CAR file is there already; try repo verify')
  }
  using progress = new Progress(io, { label: source.label, unit: 'bytes' })
  if (file === '-') {
    const got = await fetchRepo(source, since, progress, (piece) => output.bytes(piece))
    progress.end()
    output.remark(sentence(got, source))
    return EXIT.ok
  }
  const path = file ?? `${safeName(source.account?.handle ?? source.label)}.car`
  const got = await fetchInto(path, source, since, progress)
  progress.end()
  await report(output, got, source, path)
  return EXIT.ok
}

async function fetchInto(
  path: string,
  source: RepoSource,
  since: string | null,
  progress: Progress,
): Promise<Fetched> {
  await using part = await PartFile.create(path)
  try {
    const got = await fetchRepo(source, since, progress, (piece) => part.write(piece))
    await part.commit()
    return got
  } catch (error) {
    if (part.bytes > 0) {
      const kept = `${partPathOf(path)} holds what came, ${formatBytes(part.bytes)}, not verified`
      progress.say(`${kept}; run the command again to begin anew`)
    }
    throw error
  }
}

/** Passes every piece to `put` before the reader goes on, and verifies what it can. */
async function fetchRepo(
  source: RepoSource,
  since: string | null,
  progress: Progress,
  put: (piece: Uint8Array) => Promise<void>,
): Promise<Fetched> {
  const { pieces, size } = await source.open(since ?? undefined)
  progress.expect(size)
  let bytes = 0
  async function* passed(): AsyncGenerator<Uint8Array> {
    for await (const piece of pieces) {
      await put(piece)
      bytes += piece.length
      progress.update(bytes)
      yield piece
    }
  }
  if (since !== null) return { ...(await readChanges(source, passed())), bytes, records: null }
  const read = await source.read(passed())
  let records = 0
  for await (const _ of read.records) records++
  const { did, rev } = read.commit
  return { did, rev, commit: cidToString(read.cid), bytes, records }
}

/** A CAR of changes: its blocks hash, and its commit is signed; the tree is not whole. */
async function readChanges(
  source: RepoSource,
  pieces: AsyncIterable<Uint8Array>,
): Promise<Pick<Fetched, 'did' | 'rev' | 'commit'>> {
  const { roots, blocks } = await readCarStream(pieces, REPO_READ_LIMITS)
  const [root] = roots
  let found: Pick<Fetched, 'did' | 'rev' | 'commit'> | null = null
  for await (const { cid, block } of blocks) {
    if (found !== null || root === undefined || !cidEquals(cid, root)) continue
    const commit = decodeCommit(block)
    if (!commit.ok) throw new RepoReadError('invalid', commit.reason, commit.detail)
    if (commit.value.did !== source.did) {
      throw new RepoReadError('invalid', 'commit-did-mismatch', `of ${commit.value.did}`)
    }
    const verdict = await source.judge(commit.value, block)
    if (!verdict.ok) {
      const fault = verdict.reason.startsWith('identity-') ? 'unverifiable' : 'invalid'
      throw new RepoReadError(fault, verdict.reason, verdict.detail)
    }
    found = { did: commit.value.did, rev: commit.value.rev, commit: cidToString(cid) }
  }
  if (found === null) {
    throw new RepoReadError('truncated', 'car-root-missing', 'the commit is not in the CAR')
  }
  return found
}

async function report(
  output: Output,
  got: Fetched,
  source: RepoSource,
  path: string,
): Promise<void> {
  const { key } = source.signature
  if (output.isJson) await output.json({ ...got, file: path, service: source.origin, key })
  else await output.line(`${path}: ${sentence(got, source)}`)
}

function sentence({ did, rev, bytes, records }: Fetched, source: RepoSource): string {
  const what =
    records === null ? 'changes, signature verified' : `${countOf(records, 'record')}, verified`
  return `${formatBytes(bytes)}, ${what}, rev ${rev} of ${did} from ${source.origin}`
}
