/** What a broadcaster reads from: the part of the event log that it needs. */

/** Some frames of the log. `bytes` may be shared between readers: never modify it. */
export interface LogChunk {
  /** Whole wire frames end to end; empty when every frame covered is hidden. */
  readonly bytes: Uint8Array
  /** Highest seq covered, also when its frame was skipped. Greater than what was read after. */
  readonly lastSeq: number
  /** How many frames `bytes` holds. */
  readonly count: number
}

export interface LogSource {
  /** Oldest retained seq; one after the newest when nothing is retained. */
  readonly firstSeq: number
  /** Newest seq that readers may see. */
  readonly publishedSeq: number
  /**
   * Published frames after `afterSeq` in order, about `bytesMax` bytes of them, at least one. Null
   * when nothing is published after `afterSeq`. A promise when they must be fetched.
   */
  read(afterSeq: number, bytesMax: number): LogChunk | Promise<LogChunk> | null
  /** Calls `listener` after each publication. Returns what unsubscribes it. */
  onPublish(listener: () => void): () => void
}
