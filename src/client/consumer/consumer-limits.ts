/** Bounds of a consumer, each with its reason. */
export interface ConsumerLimits {
  /** Frames that wait or are at work, over all accounts; over it the source is held back. */
  readonly waitingFramesMax: number
  /** The same in bytes. */
  readonly waitingBytesMax: number
  /** Finished events after one that is not, which the cursor cannot pass: the source is held. */
  readonly aheadMax: number
  /** Frames of one account that wait for its repair before they are let go. */
  readonly heldFramesMax: number
  /** How long they wait for it, ms. */
  readonly heldMs: number
  /** How long an event waits for its account's key, ms. */
  readonly identityWaitMs: number
  /** Repositories that are fetched at once. */
  readonly repairsMax: number
  /** The same of one host, so that a slow one does not hold up those of others. */
  readonly repairsPerHostMax: number
  /** Repositories that wait to be fetched in memory; the others wait in the store. */
  readonly repairsWaitingMax: number
  /** How long the fetch of one repository may take, ms. */
  readonly repairMs: number
  /** How often the store is asked for repositories that are due, ms. */
  readonly repairPollMs: number
  /** First pause before a repository is fetched again, ms; doubles up to the cap. */
  readonly repairPauseMs: number
  readonly repairPauseMsMax: number
  /**
   * Records of a repository that may be repaired by what is new alone, for which its tree is built
   * again in memory; 0: all are fetched whole.
   */
  readonly updateRecordsMax: number
  /** Largest answer with what is new, bytes; above it the repository is fetched whole. */
  readonly updateBytesMax: number
  /** Fetches that find an older state than was delivered before they become rare. */
  readonly behindTriesMax: number
  /** Operations of one part of a repair. */
  readonly partOpsMax: number
  /** Records of one part, bytes. */
  readonly partBytesMax: number
  /** Times that the handler is given a delivery before it is quarantined. */
  readonly handlerTriesMax: number
  /** First pause between two of them, ms; doubles up to the cap. */
  readonly handlerPauseMs: number
  readonly handlerPauseMsMax: number
  /** Messages of one account in quarantine. */
  readonly quarantineMax: number
  /** Messages in quarantine over all accounts. */
  readonly quarantineTotalMax: number
  /** Accounts first heard of in an hour whose key cannot be looked up and which are marked. */
  readonly unknownMarksMax: number
  /** Finished events between two saves. */
  readonly saveEvents: number
  /** Time between two saves, ms. */
  readonly saveMs: number
  /** Repositories whose state is kept at hand. */
  readonly cachedReposMax: number
  /** How long handlers are waited for at the stop, ms. */
  readonly stopMs: number
}

export const CONSUMER_LIMITS: ConsumerLimits = {
  // A second of the whole network at its peak.
  waitingFramesMax: 2_000,
  // Six of the largest frames; the average one has 5 kB.
  waitingBytesMax: 32 * 1_024 * 1_024,
  // 100 bytes each; three minutes of the network at 500 events a second.
  aheadMax: 100_000,
  heldFramesMax: 100,
  heldMs: 10_000,
  identityWaitMs: 20_000,
  repairsMax: 16,
  repairsPerHostMax: 4,
  repairsWaitingMax: 1_000,
  // The largest repositories known have some hundred megabytes.
  repairMs: 1_800_000,
  repairPollMs: 1_000,
  repairPauseMs: 2_000,
  repairPauseMsMax: 3_600_000,
  // Some 300 bytes and 5 µs each.
  updateRecordsMax: 50_000,
  // It is held in memory, once for each of `repairsMax`.
  updateBytesMax: 8 * 1_024 * 1_024,
  behindTriesMax: 5,
  // As many as a commit may have.
  partOpsMax: 200,
  partBytesMax: 2_000_000,
  handlerTriesMax: 5,
  handlerPauseMs: 100,
  handlerPauseMsMax: 10_000,
  quarantineMax: 100,
  quarantineTotalMax: 10_000,
  // They may have been made up by who sent them.
  unknownMarksMax: 10_000,
  saveEvents: 1_000,
  saveMs: 1_000,
  // 600 bytes each.
  cachedReposMax: 100_000,
  stopMs: 5_000,
}
