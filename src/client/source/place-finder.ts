/** Runs a {@link CursorSearch} against a service, one probe after another. */
import type { Clock } from '../../lib/clock.ts'
import type { Transport } from '../../stream/transport.ts'
import { type CursorSearch, type Sighting, sight, startSearch } from './cursor-search.ts'
import { StreamProbe } from './stream-probe.ts'

/** Where a service is to be joined. */
export interface FoundPlace {
  /** Begin after this seq; 0: at the oldest event. */
  readonly cursor: number
  /** How much the oldest event is later than the moment that was sought; null when it is not. */
  readonly tooLateMs: number | null
  /** The newest event; null when none came. */
  readonly tip: Sighting | null
}

export interface PlaceFinderOptions {
  readonly transport: Transport
  readonly clock: Clock
  /** `wss://host`. */
  readonly endpoint: string
  /** Moment and tolerance; see {@link CursorSearch}. */
  readonly targetMs: number
  readonly toleranceMs: number
  readonly onProbe: () => void
}

/** One search. Takes at most LOOKS_MAX probes, each bounded in time. */
export class PlaceFinder {
  readonly #options: PlaceFinderOptions
  readonly #done: (place: FoundPlace | null) => void
  #search: CursorSearch
  #probe: StreamProbe | null = null

  /** @param done Called once unless cancelled; null when the service could not be reached. */
  constructor(options: PlaceFinderOptions, done: (place: FoundPlace | null) => void) {
    this.#options = options
    this.#done = done
    this.#search = startSearch(options.targetMs, options.toleranceMs)
    this.#look()
  }

  cancel(): void {
    this.#probe?.cancel()
  }

  #look(): void {
    const { next, tip } = this.#search
    if (next.kind === 'found') {
      this.#done({ cursor: next.cursor, tooLateMs: next.tooLateMs, tip })
      return
    }
    const { transport, clock, endpoint, onProbe } = this.#options
    onProbe()
    this.#probe = new StreamProbe(
      { transport, clock, endpoint, cursor: next.cursor },
      ({ healthy, seen }) => {
        // Only the first look has to succeed: an answer that is too early does no harm.
        if (!healthy && this.#search.looks === 0) this.#done(null)
        else {
          this.#search = sight(this.#search, seen)
          this.#look()
        }
      },
    )
  }
}
