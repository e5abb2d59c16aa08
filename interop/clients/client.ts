/** What the comparison needs of a foreign client, whichever it is. */

export type ClientName = '@atproto/sync' | 'skyware' | 'atcute'

export const CLIENT_NAMES: readonly ClientName[] = ['@atproto/sync', 'skyware', 'atcute']

/** One thing that a client handed to its user. */
export interface Sighting {
  /** The seq of the frame it came from. A frame may give several sightings, or none. */
  readonly seq: number
  readonly did: string
  /** All that the user got to see, except for the seq, as canonical text. */
  readonly content: string
}

export interface ForeignClient {
  readonly name: ClientName
  /** In order of arrival. */
  readonly sightings: readonly Sighting[]
  /** What the client reported to be wrong with what it received. */
  readonly errors: readonly string[]
  /** Codes of the closes that it saw; null for a client that does not show them. */
  readonly closeCodes: readonly number[] | null
  /** It is done with every frame up to this seq; 0 at first. */
  readonly position: number
  /**
   * `arrival` when the order of arrival is the client's promise for one DID; `seq` when it parses
   * frames concurrently and so may hand them over in another order than they came.
   */
  readonly order: 'arrival' | 'seq'
  /**
   * Whether after a reconnect it may hand over the same frame again, because its own cursor moves
   * only when the handler is done.
   */
  readonly delivery: 'once' | 'at-least-once'
  stop(): Promise<void>
}

/** Where a client connects; always live, without a cursor. */
export interface ClientTarget {
  /** `ws://localhost:PORT` */
  readonly service: string
  readonly plcUrl: string
}

export type ClientStarter = (target: ClientTarget) => ForeignClient
