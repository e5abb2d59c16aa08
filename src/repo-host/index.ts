/**
 * The repository host: repositories by DID with their keys, blobs and log of events, as a library
 * for whoever builds a PDS.
 *
 * - `repo-host.ts`: `RepoHost`; begin here
 * - `host-view.ts`: what it shows to those who serve it; `host-reads.ts`, `repo-export.ts` answer
 * - `outcomes.ts`, `host-options.ts`: refusals and answers; options and types of calls
 * - `write-queue.ts`: the one writer; `turn.ts`: what a job works with
 * - `record-writes.ts`, `write-records.ts`, `commit-writer.ts`: from a call to a commit
 * - `account-jobs.ts`: creation, status, handle, key; `host-frames.ts`: events as bytes
 * - `import-repo.ts`, `adopt-repo.ts`: a repository that comes from elsewhere
 * - `repo-walk.ts`, `tree-cache.ts`, `signing-keys.ts`, `blob-references.ts`, `fair.ts`
 * - `upload-blob.ts`: blobs; `garbage.ts`: what nothing refers to
 * - `host-observer.ts`: what calls come to, for metrics
 * - `open-host.ts`: the data directory
 *
 * A host owns its data directory: `host.sqlite` (state, keys, events on their way), `log` (events)
 * and `blobs`. A change, its events and their seqs are one transaction; the log follows.
 *
 * It refuses to write for accounts that are not active, to emit what a stranger could not verify,
 * to validate records against lexicons, and to resolve or change identities. Who may call it is for
 * the caller to decide.
 *
 * @module
 */
export type { NewAccount } from './account-jobs.ts'
export type { Collected } from './garbage.ts'
export type { HostCall, HostLoad, HostObserver } from './host-observer.ts'
export type * from './host-view.ts'
export type { ImportOptions } from './import-repo.ts'
export type * from './outcomes.ts'
export type { RecordBody, RepoWrite } from './record-writes.ts'
export * from './host-options.ts'
export { RepoHost } from './repo-host.ts'
