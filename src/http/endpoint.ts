/** The shape of an XRPC endpoint, independent of the server that carries it. */

/** Budgets of one address that a call may draw on. */
export type CallBudget = 'crawl' | 'lookup'

/** One call, after the general limits have passed. */
export interface XrpcCall {
  /** `HEAD` is answered as `GET`; the body is then dropped. */
  readonly method: 'GET' | 'HEAD' | 'POST'
  readonly query: URLSearchParams
  /** The query string exactly as it was sent, with its `?`; empty when there is none. */
  readonly search: string
  readonly headers: Headers
  /** The parsed JSON body of a procedure; undefined for a query. */
  readonly input: unknown
  /** Whose limits the call counts for. */
  readonly address: string
  /** Draws on a budget of the caller's address; a 429 answer when it is used up. */
  spend(budget: CallBudget): Response | null
  /**
   * Ends the connection at once, so that nobody takes a body that was cut for a whole one. False
   * when there is no connection at hand; then the body's stream must fail.
   */
  readonly cut: () => boolean
}

/** One endpoint. `answer` never throws on input; what it throws is a 500 and logged. */
export interface Endpoint {
  readonly nsid: string
  readonly method: 'GET' | 'POST'
  answer(call: XrpcCall): Response | Promise<Response>
}
