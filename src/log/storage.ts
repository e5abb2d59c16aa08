/**
 * What the log needs of a file system. Errors are the storage's own (system errors with a `code`
 * such as `ENOSPC`); the log wraps them. Paths are joined with a slash.
 */
export interface LogStorage {
  /**
   * Takes the writer lock of a data directory, creating the directory. Errors: see DirectoryLock.
   */
  lock(directory: string): Promise<LogLock>
  /** Creates a directory inside an existing one, durably, unless it is there. */
  ensureDirectory(path: string): Promise<void>
  /** Names in a directory, in no order. */
  list(path: string): Promise<string[]>
  /**
   * Opens a file: `create` makes it or empties it, `write` and `read` need it to exist (`ENOENT`).
   * All but `read` can also write.
   */
  open(path: string, mode: 'create' | 'write' | 'read'): Promise<LogFile>
  /** Replaces `to` atomically. Durable after `syncDirectory`, as are `remove` and creation. */
  rename(from: string, to: string): Promise<void>
  /** Removes a file; does nothing when it is not there. */
  remove(path: string): Promise<void>
  syncDirectory(path: string): Promise<void>
}

export interface LogFile {
  /** Fills `target` from `position`; returns fewer bytes only at the end of the file. */
  read(target: Uint8Array, position: number): Promise<number>
  /** Writes all of `bytes`, or throws after having written any part of them. */
  write(bytes: Uint8Array, position: number): Promise<void>
  truncate(length: number): Promise<void>
  /** Makes content and length durable. */
  sync(): Promise<void>
  size(): Promise<number>
  close(): Promise<void>
}

export interface LogLock {
  release(): void
}
