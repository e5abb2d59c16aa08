/**
 * A seeded network on loopback, for tests, measurements and development: a PLC directory, hosts,
 * accounts whose commits are signed; liars and faults on demand; and the truth to hold against
 * whatever reads it.
 *
 * - `network.ts`, `network-options.ts`, `turns.ts`: `startNetwork`: servers, pace, faults
 * - `simulation.ts`: the network without servers: accounts, hosts' sequences, traffic
 * - `world.ts`: what is true; `ledger.ts`: which lies were told, and what must come of each
 * - `lies.ts`, `bad-event.ts` and its catalogue, `hostile-commit.ts`: what liars say
 * - `account-changes.ts`, `sim-account.ts`, `records.ts`, `templates.ts`: what accounts do
 * - `blobs.ts`, `live-blobs.ts`: images, and which of them an account has
 * - `faults.ts`: what can go wrong, and proof that it did; `sim-resolver.ts`: look-ups that fail
 * - `signed-repo.ts`, `arrivals.ts`: an honest repository with its key
 * - `host-front.ts`, `stream-session.ts`, `sim-host-view.ts`, `host-log.ts`: a host
 * - `plc-front.ts`, `plc-directory.ts`: the directory
 * - `traffic-format.ts`, `traffic-writer.ts`, `traffic-file.ts`, `record-traffic.ts`,
 *   `replay-traffic.ts`: traffic that was signed before
 *
 * What is sent depends on the options (the seed; `startMs`, which is now unless it is given) and on
 * the calls alone: not on ports, on other time, or on who listens. Nothing here knows `relay` or
 * the verification of `repo`; it is what these are held against. It is not a host to keep anything
 * in: all is in memory but blobs, which are made when they are read.
 *
 * @module
 */

export { type ChangeKind, CHANGES, CHANGES_OF_A_TURN } from './account-changes.ts'
export type { BadEvent, BadEventCase, BadEventContext } from './bad-event.ts'
export { BAD_EVENTS } from './bad-events.ts'
export { blobBytes, type ImageType, type SimBlob } from './blobs.ts'
export {
  DNS_FAULTS,
  type DnsFault,
  FaultCounters,
  type FaultKind,
  FAULTS,
  HTTP_FAULTS,
  type HttpFault,
  QUIET_FAULTS,
  type QuietFault,
  STREAM_FAULTS,
  type StreamFault,
} from './faults.ts'
export type { HostFront } from './host-front.ts'
export type { Ledger, LedgerEntry } from './ledger.ts'
export { type Lie, LIES } from './lies.ts'
export { type SimNetwork, startNetwork } from './network.ts'
export type { GateCondition, NetworkOptions, RunOptions } from './network-options.ts'
export type { PlcDirectory, PlcState } from './plc-directory.ts'
export type { PlcFault, PlcFront } from './plc-front.ts'
export type { SimAccount, SimWrite } from './sim-account.ts'
export { type RecordOptions, recordTraffic } from './record-traffic.ts'
export {
  type ReplayOptions,
  type ReplayStep,
  type RunningReplay,
  startReplay,
} from './replay-traffic.ts'
export type { ReplayPace } from './replay-pacer.ts'
export { type RepoWrite, SignedRepo, type SignedRepoOptions } from './signed-repo.ts'
export { type SimHost, Simulation, type SimulationOptions } from './simulation.ts'
export { type TrafficBlock, TrafficFile, type TrafficSource } from './traffic-file.ts'
export type { TrafficAccount, TrafficHeader } from './traffic-format.ts'
export { TrafficWriter } from './traffic-writer.ts'
export {
  type AccountStatus,
  eventId,
  fingerprintOf,
  type World,
  type WorldAccount,
  type WorldBlob,
  type WorldEvent,
  type WorldHead,
} from './world.ts'
