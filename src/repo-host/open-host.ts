/** Opens the parts of a host's data directory in order, and closes them. */
import { chmodSync, closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { must } from '../lib/assert.ts'
import { messageOf, SkeinError } from '../lib/errors.ts'
import { EventLog } from '../log/event-log.ts'
import { nodeStorage } from '../log/node-storage.ts'
import { TemporaryDirectory } from '../ops/temporary-directory.ts'
import { BlobFiles } from '../store/blob-files.ts'
import { BlobRows } from '../store/blob-rows.ts'
import { BlockRows } from '../store/block-rows.ts'
import { openDatabase } from '../store/database.ts'
import { SnapshotPool } from '../store/repo-snapshot.ts'
import { RepoStore } from '../store/repo-store.ts'
import { HOST_SCHEMA } from '../store/schemas.ts'
import { DISK_RESERVE_BYTES, EXPORTS_MAX, type RepoHostOptions } from './host-options.ts'
import { SigningKeys } from './signing-keys.ts'
import { TreeCache } from './tree-cache.ts'
import type { HostState } from './turn.ts'

/** File of the database and folder of the blobs within the data directory. */
const STATE_FILE = 'host.sqlite'
const BLOB_FOLDER = 'blobs'
/** Blocks are of some hundred bytes: on larger pages a search for one passes fewer of them. */
const PAGE_BYTES = 8_192

/** What of a host's options its parts are opened with. */
export type OpenHostOptions = Pick<
  RepoHostOptions,
  'directory' | 'clock' | 'log' | 'exportsMax' | 'diskReserveBytes'
>

/** The open parts. `close` closes all of them. */
export interface OpenHost {
  readonly directory: string
  readonly log: EventLog
  readonly state: HostState
  readonly snapshots: SnapshotPool
  readonly files: BlobFiles
  close(): Promise<void>
}

/**
 * Opens log, database and blobs. The log's lock keeps every other process out of the directory.
 *
 * @throws SkeinError as EventLog.open and openDatabase do; nothing is left open then.
 */
export async function openHost(options: OpenHostOptions): Promise<OpenHost> {
  const { clock, exportsMax = EXPORTS_MAX, diskReserveBytes = DISK_RESERVE_BYTES } = options
  const own = options.directory === null ? await TemporaryDirectory.create('skein-host-') : null
  const directory = must(own?.path ?? options.directory, 'data directory')
  const cleanUps: (() => void | Promise<void>)[] = []
  const close = async (): Promise<void> => {
    for (let cleanUp = cleanUps.pop(); cleanUp !== undefined; cleanUp = cleanUps.pop()) {
      await cleanUp()
    }
  }
  if (own !== null) cleanUps.push(() => own[Symbol.asyncDispose]())
  try {
    const log = await EventLog.open(directory, { ...options.log, clock })
    cleanUps.push(() => log.close())
    const file = join(directory, STATE_FILE)
    protect(file)
    const database = await openDatabase(file, HOST_SCHEMA, {
      survives: 'power',
      pageBytes: PAGE_BYTES,
    })
    cleanUps.push(() => database.close())
    // Or a power cut could take a new file back whose events the log has already.
    await nodeStorage.syncDirectory(directory)
    const store = new RepoStore(database.connection)
    const blocks = new BlockRows(database.connection)
    const state = {
      store,
      blocks,
      blobs: new BlobRows(database.connection),
      trees: new TreeCache(blocks),
      keys: new SigningKeys(store),
    }
    const snapshots = new SnapshotPool(file, exportsMax)
    cleanUps.push(() => snapshots.close())
    const files = new BlobFiles(join(directory, BLOB_FOLDER), diskReserveBytes)
    return { directory, log, state, snapshots, files, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Makes a file that its owner alone may read: it holds keys. SQLite's other files follow it. */
function protect(file: string): void {
  try {
    closeSync(openSync(file, 'a', 0o600))
    chmodSync(file, 0o600)
  } catch (cause) {
    throw new SkeinError('STORE_FAILED', `open database: ${messageOf(cause)}`, { file }, cause)
  }
}
