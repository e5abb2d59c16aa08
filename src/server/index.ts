/**
 * @module
 * Compositions: the parts of a role, opened in order and closed in reverse.
 *
 * - `start-relay.ts`: `startRelay`; `start-host.ts`: `startHost`
 * - `publish-times.ts`, `subscriber-meter.ts`: what its metrics know of subscribers
 *
 * No rule of the protocol stands here, and nothing reads the environment: that is for ../cli.
 */
export * from './start-host.ts'
export * from './start-relay.ts'
