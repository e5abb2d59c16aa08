/**
 * Event streams outside Node: what is left of ./index.ts without the server of subscribers and the
 * client on `ws`. It is what `skein/stream` stands for where the condition `node` is not set.
 *
 * @module
 */
export * from './frame-types.ts'
export { type FrameResult, encodeWireFrame, parseFrame } from './frame.ts'
export { STATUS_BYTES_MAX } from './frame-check.ts'
export { encodeErrorFrame, encodeInfoFrame, encodeMessageFrame } from './own-frames.ts'
export { type PayloadRange, payloadRange, wrapFrame } from './wire-frame.ts'
export { type CursorStart, type SeqWindow, cursorParameters, resolveCursor } from './cursor.ts'
export { BACKOFF_BASE_MS, BACKOFF_MAX_MS } from './backoff.ts'
export { type BackoffState, NO_BACKOFF } from './subscriber-machine.ts'
export {
  SUBSCRIBE_REPOS_PATH,
  Subscriber,
  type SubscriberClose,
  type SubscriberListener,
  type SubscriberOptions,
  type SubscriberPhase,
  subscribeReposUrl,
} from './subscriber.ts'
export type {
  Transport,
  TransportClose,
  TransportConnection,
  TransportListener,
} from './transport.ts'
export { createTransport } from './runtime-transport.ts'
export { type WebSocketLike, WebTransport, type WebTransportOptions } from './web-transport.ts'
export type { LogChunk, LogSource } from './log-source.ts'
