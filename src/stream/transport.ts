/**
 * What a subscriber needs of a WebSocket client. ./ws-transport.ts implements it for Node,
 * ./web-transport.ts for browsers and other runtimes; tests bring their own.
 */

/** How an attempt or a connection ended. */
export interface TransportClose {
  /**
   * WebSocket close code; 1005 when the peer gave none, 1006 when there was no close frame. Where
   * the runtime tells, 1002 stands for a peer whose bytes broke the WebSocket protocol.
   */
  readonly code: number
  /** The peer's reason, or the error that ended the attempt. */
  readonly reason: string
  /** HTTP status of an answer that was not an upgrade; null otherwise. */
  readonly httpStatus: number | null
  /** What that answer's Retry-After asks for, capped; null when it does not. */
  readonly retryAfterMs: number | null
  /**
   * Set when the transport gave up a connection with which nothing was wrong, because its runtime
   * cannot do otherwise: nothing was heard and it cannot ping, or more was sent than it keeps for a
   * paused reader. Connect again at once; it says nothing against the peer.
   */
  readonly renewal?: 'unheard' | 'held-back'
}

/** Callbacks of one connection. `onClose` comes once and last; nothing comes after it. */
export interface TransportListener {
  onOpen(): void
  /** A whole binary message. See the transport for who owns `bytes`. */
  onMessage(bytes: Uint8Array): void
  /** A text message arrived; the protocol has none. */
  onText(): void
  onPong(): void
  /** A message over the size limit began; the connection is about to end. */
  onTooLarge(): void
  onClose(close: TransportClose): void
}

export interface TransportConnection {
  /** Asks for `onPong`. Does nothing where the runtime cannot. */
  ping(): void
  /** Stops delivery: after it returns no message is delivered until `resume`. */
  pause(): void
  resume(): void
  /** Closes politely with 1000, and soon after by force. */
  close(): void
  /** Drops the connection at once. `onClose` still comes. */
  terminate(): void
}

export interface Transport {
  /**
   * Starts an attempt. Never throws: failures arrive as `onClose`, never before `connect` returns.
   */
  connect(url: string, listener: TransportListener): TransportConnection
}
