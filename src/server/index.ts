/**
 * @module
 * Compositions: the parts of a role, opened in order and closed in reverse.
 *
 * - `start-relay.ts`: `startRelay`; `start-host.ts`: `startHost`; see
 *   examples/in-your-tests.test.ts
 * - `publish-times.ts`, `subscriber-meter.ts`: what metrics know of subscribers
 * - `host-meter.ts`: what a host's metrics count
 *
 * No rule of the protocol stands here, and nothing reads the environment: that is for ../cli.
 */
export * from './start-host.ts'
export * from './start-relay.ts'
