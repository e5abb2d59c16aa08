import { LRUCache } from 'lru-cache'

/**
 * An empty cache of at most `entriesMax` entries, of which the longest unused goes first.
 *
 * It grows as it fills. The library's own `max` takes 28 bytes for every entry that there may ever
 * be at once: over all caches of a relay that is 16 MiB before the first event.
 */
export function createEntryCache<K extends {}, V extends {}>(entriesMax: number): LRUCache<K, V> {
  return new LRUCache({ maxSize: entriesMax, sizeCalculation: () => 1 })
}
