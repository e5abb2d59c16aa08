/**
 * Event streams: the frames, the client that reads a host's stream, the server that feeds
 * subscribers.
 *
 * | file | holds | runs in |
 * |---|---|---|
 * | frame-types.ts | messages as they stand in frames | anywhere |
 * | frame.ts | reading a frame, sending one on under another seq | anywhere |
 * | peek-frame.ts | whose a frame is and where it stands, without parsing it | anywhere |
 * | frame-check.ts | limits, syntax and schema of a body | anywhere |
 * | own-frames.ts | frames that this side makes | anywhere |
 * | wire-frame.ts | WebSocket framing of stored frames | anywhere |
 * | cursor.ts | what a subscriber's cursor means | anywhere |
 * | backoff.ts | reconnect delays | anywhere |
 * | subscriber-machine.ts | a subscription's life as a pure function | anywhere |
 * | subscriber.ts | a subscription | anywhere, with a transport |
 * | sequence-watch.ts | restarts and repeats of a sequence, stepping over a message | anywhere |
 * | cursor-tracker.ts | how far a stream has been finished | anywhere |
 * | transport.ts | what a subscription needs of a WebSocket client | anywhere |
 * | ws-transport.ts | that client on `ws` | Node |
 * | web-transport.ts | that client on the runtime's `WebSocket` | anywhere |
 * | runtime-transport.ts | the one of these that fits the runtime | anywhere |
 * | held-messages.ts | what arrives while a reader is paused | anywhere |
 * | log-source.ts | what the server reads from | anywhere |
 * | session-rules.ts | position, pace and limits of a subscriber, pure | anywhere |
 * | session.ts | one subscriber's socket | Node |
 * | broadcaster.ts | all subscribers | Node |
 * | refusal.ts | HTTP answers to upgrades that are not taken | Node |
 *
 * The last three make up the server; index.web.ts leaves them and `ws-transport.ts` out, for
 * browsers and workers.
 *
 * Who owns what: a {@link Subscriber} owns one connection at a time and nothing else; the cursor
 * and the backoff are its owner's to keep. A {@link Broadcaster} owns the sockets that it accepted;
 * the bytes that it writes are the log's.
 *
 * What this folder refuses to do: interpret `blocks`, verify anything, decide what becomes of an
 * event, keep events, resolve names, or queue for a slow subscriber.
 *
 * @module
 */
export * from './index.web.ts'
export { WsTransport, type WsTransportOptions } from './ws-transport.ts'
export { SESSION_LIMITS, type SessionLimits } from './session-rules.ts'
export type { EndReason, SessionView } from './session.ts'
export {
  Broadcaster,
  type BroadcasterOptions,
  type BroadcasterStats,
  type RefusalReason,
  SUBSCRIBERS_MAX,
  SUBSCRIBERS_PER_ADDRESS_MAX,
} from './broadcaster.ts'
