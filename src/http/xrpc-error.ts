/**
 * Answers of XRPC calls. Errors are `{"error": Name, "message": text}`.
 *
 * Statuses follow the reference implementation: an error that a lexicon names, such as
 * `RepoNotFound`, is 400, since clients tell errors apart by name. Where HTTP itself has a meaning
 * it is used: 405, 413, 414, 426, 429, 500, 501, 503.
 */

/** Headers of one answer. */
export type AnswerHeaders = Readonly<Record<string, string>>

/** A JSON answer with status 200. Fields that are undefined are left out. */
export function jsonAnswer(body: unknown): Response {
  return new Response(JSON.stringify(body), {
    headers: { 'content-type': 'application/json; charset=utf-8' },
  })
}

/** An error answer. `message` is for people; it may quote the request, never a secret. */
export function xrpcError(
  status: number,
  error: string,
  message: string,
  headers: AnswerHeaders = {},
): Response {
  return new Response(xrpcErrorBody(error, message), {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
  })
}

/** The body of an error, for sockets that are answered without a Response. */
export function xrpcErrorBody(error: string, message: string): string {
  return JSON.stringify({ error, message })
}

/** 400 `InvalidRequest`: a parameter or body that does not fit the lexicon. */
export function invalidRequest(message: string): Response {
  return xrpcError(400, 'InvalidRequest', message)
}

/** 405 for a method that an endpoint does not take. */
export function methodNotAllowed(method: string, allow: string): Response {
  return xrpcError(
    405,
    'MethodNotAllowed',
    `Incorrect HTTP method (${method.slice(0, 20)}), expected ${allow}`,
    { allow: allow === 'GET' ? 'GET, HEAD, OPTIONS' : `${allow}, OPTIONS` },
  )
}
