/**
 * @module
 * The relay: subscribes to hosts, verifies, sequences, and keeps accounts.
 *
 * - `relay.ts`: joins the parts; `relay-view.ts`: what it shows to the outside
 * - `hosts.ts`, `host-link.ts`: hosts and their connections; `host-status.ts`, `host-sequence.ts`:
 *   their pure rules; `crawl.ts`: requests to add one; `host-queries.ts`: questions to them
 * - `admission.ts`, `waiting.ts`: what waits for what; `settlement.ts`: what is asked for;
 *   `judge.ts`, `outcome.ts`: the decision on one event
 * - `verifiers/`: the frames of commits parsed and verified, in threads or at once
 * - `accounts.ts`: status and head of each account; `status-checks.ts`: contradictions
 * - `outflow.ts`: the way from decision to publication; `sequencer.ts`: the only writer;
 *   `own-events.ts`: what the relay says of accounts itself; `recovery.ts`: state and positions
 *   after a start
 * - `relay-pages.ts`: listings
 *
 * An event goes link, admission, verifier, judge, sequencer, log. Its account's row is replaced in
 * memory when it is given a seq and in the store when that is durable; the host's cursor moves
 * after both.
 *
 * Nothing here serves HTTP or sockets of subscribers; nothing emits what was not verified.
 */
export * from './host-status.ts'
export * from './relay-view.ts'
export * from './relay.ts'
