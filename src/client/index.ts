/**
 * The client of com.atproto.sync: every call typed and checked, answers with proof verified, and
 * the stream of events.
 *
 * Calls, in `calls/`:
 * - `sync-client.ts`: `SyncClient`, a method for each call; begin here
 * - `verified-client.ts`: records, absences and whole repositories, proven; `trust.ts`: whose
 *   signature counts
 * - `call-error.ts`: the one error, its codes, and what to do about each
 * - `client-options.ts`, `sync-types.ts`: what goes in and what comes out
 * - `service.ts`: how services are spelt
 * - `query-runner.ts` over `http.ts`: a call by its lexicon, a request with redirects and retries
 * - `call-input.ts`, `json-answer.ts`, `byte-stream.ts`, `body-checks.ts`, `answer-errors.ts`: what
 *   is sent, and what comes back, checked
 * - `governor.ts`, `rate-headers.ts`, `retry.ts`: how hard a service is asked, and when again
 * - `pages.ts`: listings; `subscribe-once.ts`: the stream over one connection
 *
 * Events, in `events/`:
 * - `events.ts`: the union; `decode-event.ts`, `commit-view.ts`: out of frames; `event-json.ts`: to
 *   JSON and back; `record-schemas.ts`: records by the application's schemas
 *
 * Where frames come from, in `source/`:
 * - `stream-source.ts`: `StreamSource`, one stream of an ordered list of services; its words are in
 *   `source-types.ts`
 * - `source-machine.ts` over `source-model.ts`, with `source-choices.ts`: its states, pure;
 *   `close-kind.ts`: what the end of a connection means
 * - `service-reader.ts`: frames of one service; `service-position.ts`: its cursor and epoch
 * - `place-finder.ts` over `cursor-search.ts` and `stream-probe.ts`: where another service stood at
 *   a moment; `lag-meter.ts`: how old events are
 *
 * Consumers, in `consumer/`:
 * - `subscribe.ts`, `run-consumer.ts`: the two faces of `consumer.ts`, whose parts
 *   `consumer-parts.ts` puts together; `consumer-types.ts`: what goes in and comes out
 * - `lanes.ts`, `slots.ts`, `event-steps.ts`, `event-judge.ts`, `deliveries.ts`: events of an
 *   account in order, verified, delivered; `consumer-filter.ts`: which of them
 * - `repo-states.ts`: the states of a repository, pure; `repo-memory.ts`, `memory-store.ts` over
 *   `ordered-records.ts`: what is known of them; `stream-progress.ts`, `saver.ts`: cursors, and the
 *   order of saving
 * - `repairs.ts`, `repo-fetcher.ts`: repositories fetched, a few at a time; `repo-changes.ts`: what
 *   that changes, by what is new alone or by the whole repository; `repo-difference.ts`: in parts
 * - `quarantine-keeper.ts`, `quarantine.ts`: what the handler could not take, in and out
 * - `seen-revs.ts`: what comes twice or is missing where nothing is verified
 * - `consumer-start.ts`, `consumer-limits.ts`, `consumer-counts.ts`, `maybe-promise.ts`: the rest
 * - `missed.ts`: `markMissed`, for what was lost while nobody listened; `noteHeld`, after a kill
 *
 * Nothing here owns sockets: those are the runtime's, reached through `#network` and `#websocket`.
 * The pacing of services, and what is known of identities, is shared by the clients of a process
 * unless they are given their own.
 *
 * Refused on purpose: authentication, calls outside of com.atproto.sync, following redirects of
 * procedures, compressed answers on Node, and bodies or listings without a bound.
 *
 * @module
 */
export { ByteStream } from './calls/byte-stream.ts'
export {
  CALL_ERRORS,
  CallError,
  type CallErrorCode,
  type CallErrorDetails,
  type CallErrorKind,
  type CallTarget,
  isCallError,
  LEXICON_ERRORS,
  type LexiconErrorName,
} from './calls/call-error.ts'
export {
  type CallOptions,
  CLIENT_LIMITS,
  type ClientLimits,
  type Identities,
  type SyncClientOptions,
} from './calls/client-options.ts'
export { CONSUMER_LIMITS, type ConsumerLimits } from './consumer/consumer-limits.ts'
export type * from './consumer/consumer-types.ts'
export { decodeEvent, type EventResult } from './events/decode-event.ts'
export * from './events/event-json.ts'
export type * from './events/events.ts'
export { Governor, GOVERNOR_LIMITS, type GovernorLimits, type Pace } from './calls/governor.ts'
export { MemoryStore, type MemoryStoreOptions } from './consumer/memory-store.ts'
export {
  type HeldRecord,
  markMissed,
  type MissedCounts,
  type MissedOptions,
  noteHeld,
} from './consumer/missed.ts'
export { Listing, type Page } from './calls/pages.ts'
export * from './events/record-schemas.ts'
export { RETRY_POLICY, type RetryPolicy } from './calls/retry.ts'
export { runConsumer } from './consumer/run-consumer.ts'
export { isLoopbackName, parseService, type Service } from './calls/service.ts'
export * from './source/source-types.ts'
export { StreamSource } from './source/stream-source.ts'
export { subscribe } from './consumer/subscribe.ts'
export { SyncClient } from './calls/sync-client.ts'
export type * from './calls/sync-types.ts'
export { createIdentities } from './calls/trust.ts'
export type * from '../store/consumer-state.ts'
export {
  type AbsentRecord,
  type PresentRecord,
  type ProvenRecord,
  VerifiedClient,
  type VerifiedRecord,
  type VerifiedRepo,
  type VerifiedRepoOptions,
} from './calls/verified-client.ts'
