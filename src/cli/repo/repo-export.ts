/** `skein repo export`: a repository with its blobs as plain files. */

import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { isCallError } from '../../client/calls/call-error.ts'
import { cidToString } from '../../data/cid.ts'
import { systemClock } from '../../lib/clock.ts'
import { must } from '../../lib/assert.ts'
import { codeOf, SkeinError } from '../../lib/errors.ts'
import { toHex } from '../../lib/bytes.ts'
import { type BlobCounts, ERROR_LEDGER, syncBlobs } from '../blob/blob-folder.ts'
import { blobNote } from '../blob/blob-sync.ts'
import type { CommandCall } from '../shared/command.ts'
import { exportFiles, exportLines, INDEX_FILE, type RecordCounts } from './export-records.ts'
import {
  fileError,
  fileSize,
  makeFolder,
  partPathOf,
  readPieces,
  writeWhole,
} from '../shared/files.ts'
import { EXIT } from '../io.ts'
import { countOf, formatBytes, formatCount, jsonText, type Output } from '../shared/output.ts'
import { Progress } from '../shared/progress.ts'
import type { EXPORT_OPTIONS } from './repo-commands.ts'
import { counted, openRepoSource, type RepoSource } from './repo-source.ts'

type Call = CommandCall<typeof EXPORT_OPTIONS>
type Format = 'json' | 'ndjson'

export const MANIFEST_FILE = 'manifest.json'
/** A manifest lists a line for each collection; real ones have some dozens. */
const MANIFEST_BYTES_MAX = 64 * 1_024 * 1_024

/** What the folder holds. Written last, so that it is true whenever it is there. */
interface Manifest {
  readonly kind: 'skein-export'
  readonly version: 1
  readonly did: string
  readonly handle: string | null
  readonly service: string
  readonly rev: string
  readonly commit: string
  /** CID of the tree's root: two exports with the same hold the same records. */
  readonly data: string
  readonly signature: string
  readonly key: string | null
  readonly exportedAt: string
  readonly format: Format
  readonly records: { readonly count: number; readonly collections: Record<string, number> }
  /** Null when blobs were left out. */
  readonly blobs: ManifestBlobs | null
  /** SHA-256 by file. */
  readonly hashes: Record<string, string>
}

interface ManifestBlobs {
  readonly listed: number
  readonly present: number
  readonly failed: number
}

/** See docs/cli.md. */
export async function runRepoExport(call: Call): Promise<number> {
  const { words, options, io, output, session } = call
  const [target = '', folder = ''] = words
  const source = await openRepoSource(session, target, options)
  await makeFolder(folder)
  const before = await readManifest(folder)
  if (before !== null) checkSameExport(before, source.did, options.format, folder)
  try {
    using progress = new Progress(io, { label: source.label, unit: 'bytes' })
    const manifest =
      (await unchanged(source, before, folder)) ??
      (await records(call, source, { folder, before, progress }))
    progress.end()
    const blobs = await fetchBlobs(call, source, folder)
    const written = { ...manifest.manifest, blobs: blobsOf(blobs) }
    await writeWhole(join(folder, MANIFEST_FILE), `${jsonText(written, 2)}\n`)
    await report(output, written, manifest.counts, blobs, folder)
    return blobs !== null && blobs.failed > 0 ? EXIT.failure : EXIT.ok
  } catch (error) {
    output.remark(`${folder} is not complete: run the command again to go on`)
    throw error
  }
}

interface Written {
  readonly manifest: Manifest
  /** Null when nothing had to be read. */
  readonly counts: RecordCounts | null
}

/** The manifest of before, when the host has no newer commit than it. */
async function unchanged(
  source: RepoSource,
  before: Manifest | null,
  folder: string,
): Promise<Written | null> {
  const { client, did } = source
  if (before === null || client === null || did === null) return null
  // An export that was interrupted has left files of another commit.
  if ((await fileSize(partPathOf(join(folder, INDEX_FILE)))) !== null) return null
  const { cid } = await client.getLatestCommit({ did })
  if (cid !== before.commit) return null
  const handle = source.account?.handle ?? null
  return { manifest: { ...before, handle, exportedAt: now() }, counts: null }
}

interface ExportPlace {
  readonly folder: string
  readonly before: Manifest | null
  readonly progress: Progress
}

async function records(
  { options }: Call,
  source: RepoSource,
  { folder, before, progress }: ExportPlace,
): Promise<Written> {
  const { pieces, size } = await source.open()
  progress.expect(size)
  const read = await source.read(counted(pieces, (bytes) => progress.add(bytes)))
  if (before !== null) checkSameExport(before, read.commit.did, options.format, folder)
  const write = options.format === 'json' ? exportFiles : exportLines
  const counts = await write(folder, read, ({ records: done }) =>
    progress.add(0, countOf(done, 'record')),
  )
  const { commit } = read
  const manifest: Manifest = {
    kind: 'skein-export',
    version: 1,
    did: commit.did,
    handle: source.account?.handle ?? null,
    service: source.origin,
    rev: commit.rev,
    commit: cidToString(read.cid),
    data: cidToString(commit.data),
    signature: source.signature.state,
    key: source.signature.key,
    exportedAt: now(),
    format: options.format,
    records: { count: counts.records, collections: Object.fromEntries(counts.collections) },
    blobs: null,
    hashes: await hashesOf(folder, options.format),
  }
  return { manifest, counts }
}

function now(): string {
  return new Date(systemClock.nowMs()).toISOString()
}

/** Of the index, which names every record with its CID; or of each file of lines. */
async function hashesOf(folder: string, format: Format): Promise<Record<string, string>> {
  const files =
    format === 'json'
      ? [INDEX_FILE]
      : (await readdir(join(folder, 'records')))
          .filter((name) => name.endsWith('.ndjson'))
          .sort()
          .map((name) => `records/${name}`)
  const hashes: Record<string, string> = {}
  for (const file of files) {
    const hash = createHash('sha256')
    for await (const piece of readPieces(join(folder, file))) hash.update(piece)
    hashes[file] = toHex(hash.digest())
  }
  return hashes
}

async function fetchBlobs(
  { options, io, signal }: Call,
  source: RepoSource,
  folder: string,
): Promise<BlobCounts | null> {
  const { client, did } = source
  if (!options.blobs || client === null || did === null) return null
  using progress = new Progress(io, { label: `${source.label} blobs`, unit: 'blobs' })
  try {
    return await syncBlobs({
      client,
      did: must(did, 'DID'),
      folder: join(folder, 'blobs'),
      parallel: options.parallel,
      signal,
      onProgress: (counts) => progress.update(counts.present + counts.fetched, blobNote(counts)),
      onFailure: ({ cid, code }) => progress.say(`blob ${cid}: ${code}`),
    })
  } catch (error) {
    // Some services have repositories and no blobs: the records are worth having.
    if (!isCallError(error, 'MethodNotImplemented', 'NotFound')) throw error
    progress.say(
      `${client.service} serves no blobs; --service names another, --no-blobs does without`,
    )
    return null
  }
}

function blobsOf(counts: BlobCounts | null): ManifestBlobs | null {
  if (counts === null) return null
  const { listed, present, fetched, failed } = counts
  return { listed, present: present + fetched, failed }
}

async function readManifest(folder: string): Promise<Manifest | null> {
  const path = join(folder, MANIFEST_FILE)
  const size = await fileSize(path)
  if (size === null) return null
  try {
    const value: unknown =
      size > MANIFEST_BYTES_MAX ? null : JSON.parse(await readFile(path, 'utf8'))
    return isManifest(value) ? value : refuse(path)
  } catch (error) {
    if (error instanceof SyntaxError) return refuse(path)
    if (codeOf(error) === 'OPTION_INVALID') throw error
    throw fileError('read', path, error)
  }
}

function refuse(path: string): never {
  throw new SkeinError('OPTION_INVALID', `export: ${path} is not the manifest of an export`)
}

function isManifest(value: unknown): value is Manifest {
  if (typeof value !== 'object' || value === null) return false
  const { kind, version, did, commit, format } = value as Partial<Record<keyof Manifest, unknown>>
  return (
    kind === 'skein-export' &&
    version === 1 &&
    typeof did === 'string' &&
    typeof commit === 'string' &&
    typeof format === 'string'
  )
}

/** A folder belongs to one account and one format. */
function checkSameExport(
  before: Manifest,
  did: string | null,
  format: Format,
  folder: string,
): void {
  if (did !== null && before.did !== did) {
    throw new SkeinError('OPTION_INVALID', `export: ${folder} holds another account`, {
      did: before.did.slice(0, 80),
    })
  }
  if (before.format !== format) {
    throw new SkeinError('OPTION_INVALID', `export: ${folder} is of another --format`, {
      format: before.format.slice(0, 20),
    })
  }
}

async function report(
  output: Output,
  manifest: Manifest,
  counts: RecordCounts | null,
  blobs: BlobCounts | null,
  folder: string,
): Promise<void> {
  if (output.isJson) {
    const changes = counts === null ? null : { ...counts, collections: undefined }
    await output.json({ folder, ...manifest, changes, fetchedBlobs: blobs?.fetched ?? null })
    return
  }
  const { did, rev, signature } = manifest
  const claim = signature === 'good' ? 'verified' : 'signature not checked'
  await output.line(`${folder}: ${countOf(manifest.records.count, 'record')} of ${did}, ${claim}`)
  await output.line(`  rev ${rev}`)
  if (counts === null) await output.line('  nothing has changed since the last export')
  else {
    const { written, unchanged: same, removed } = counts
    const words = `${formatCount(written)} written, ${formatCount(same)} unchanged`
    await output.line(`  ${words}, ${formatCount(removed)} removed`)
  }
  if (blobs === null) return
  const { present, fetched, failed, bytes } = blobs
  await output.line(
    `  ${countOf(present + fetched, 'blob')}, ${formatCount(fetched)} new (${formatBytes(bytes)})`,
  )
  if (failed > 0) {
    output.remark(`${countOf(failed, 'blob')} failed: see ${join(folder, 'blobs', ERROR_LEDGER)}`)
  }
}
