import { asSkeinError, beginDrop, bytesOf, finishDrop } from './segment.ts'
import type { Segment, SegmentList } from './segment.ts'
import type { LogStorage } from './storage.ts'

/** What a log may keep. */
export interface RetentionBounds {
  /** Segments whose last event is before this go. */
  readonly oldestMs: number
  /** The oldest segments go while the log is larger than this. */
  readonly bytesMax: number
}

/**
 * Drops whole segments from the old end of `segments`, never the newest, and their files. `dropped`
 * is called for each once it is out of the list. Errors: LOG_WRITE_FAILED; a segment whose files
 * could not be removed is finished at the next open.
 */
export async function dropOldSegments(
  storage: LogStorage,
  folder: string,
  segments: SegmentList,
  bounds: RetentionBounds,
  dropped: (segment: Segment) => void,
): Promise<void> {
  let bytes = segments.bytes
  while (segments.size > 1) {
    const expired = (segments.oldest.lastTimeMs ?? 0) < bounds.oldestMs
    if (!expired && bytes <= bounds.bytesMax) return
    // Out of the list first, so that readers move on before the files go.
    const segment = segments.shift()
    try {
      await beginDrop(storage, folder, segment.number)
    } catch (error) {
      segments.unshift(segment)
      throw asSkeinError(error, 'LOG_WRITE_FAILED', 'drop old segment', { folder })
    }
    bytes -= bytesOf(segment)
    dropped(segment)
    try {
      await finishDrop(storage, folder, segment.number)
    } catch (error) {
      throw asSkeinError(error, 'LOG_WRITE_FAILED', 'drop old segment', { folder })
    }
  }
}
