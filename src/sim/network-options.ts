/** What a simulated network is told. */
import type { Clock } from '../lib/clock.ts'
import type { FaultKind } from './faults.ts'

export interface NetworkOptions {
  /** What everything follows from; default 1. */
  readonly seed?: number
  /** Hosts; default 3. */
  readonly hosts?: number
  /** Accounts at the start; default 100. */
  readonly accounts?: number
  /** Median number of records that an account has from the start; default 3,000. */
  readonly records?: number
  /** Median size of a blob, bytes, from 64 to 1,000,000; default 4,096. */
  readonly blobBytes?: number
  /** Events of traffic a second; default 20. */
  readonly rate?: number
  /** Lies for each event of traffic; default 0. */
  readonly lies?: number
  /** Faults for each event of traffic; default 0. */
  readonly faults?: number
  /**
   * Kinds of faults that strike by chance, each in its turn. Default STREAM_FAULTS, QUIET_FAULTS,
   * and DNS_FAULTS where names are looked up here. HTTP_FAULTS are for readers that send requests.
   */
  readonly faultKinds?: readonly FaultKind[]
  /**
   * `simulated`: readers are given `resolveAddresses` of the network to look names up with, so that
   * DNS faults can strike them. Default `system`: no such fault is allowed.
   */
  readonly dns?: 'simulated' | 'system'
  /** Changes of accounts for each event of traffic; default 1 in 200. */
  readonly changes?: number
  /** Where the network's own time begins, ms since the epoch; default now. */
  readonly startMs?: number
  /** How far each host's clock is ahead, ms. */
  readonly skewsMs?: readonly number[]
  /** Whether the world remembers every event; default `none`. */
  readonly history?: 'kept' | 'none'
  /** Most bytes of events that each host can replay; default 64 MiB. */
  readonly backlogBytesMax?: number
  /** Address that all servers listen on; default 127.0.0.1, which `localhost` must lead to. */
  readonly address?: string
  /** Port of the directory; the hosts take those after it. Default 0: any. */
  readonly port?: number
  readonly clock?: Clock
  /** Called before what would make unread events unreadable; default: a short wait. */
  readonly gate?: (until: GateCondition) => Promise<void>
}

/**
 * `read`: readers have decided on everything that was sent. `forgotten`: besides, they no longer
 * remember that the directory did not know a DID.
 */
export type GateCondition = 'read' | 'forgotten'

/** How long to run. */
export interface RunOptions {
  /** Events of traffic; default without end. */
  readonly events?: number
  /** `clock`: each event when it is due. `free`: as fast as subscribers and the machine allow. */
  readonly pace: 'clock' | 'free'
  readonly signal?: AbortSignal
}
